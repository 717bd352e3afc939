-- Checks that cost little. SQLite makes a list of three words or more anew for every row that is checked against it,
-- which took about as long as writing the row. The words that are allowed, and what is stored, stay the same; only the
-- text of the checks changes: https://www.sqlite.org/lang_altertable.html#otheralter

PRAGMA writable_schema = ON;

UPDATE sqlite_schema
   SET sql = replace(sql, 'adjustment IN (''raw'', ''splits'', ''all'')',
             'adjustment = ''raw'' OR adjustment = ''splits'' OR adjustment = ''all''')
 WHERE type = 'table' AND name = 'series';

UPDATE sqlite_schema
   SET sql = replace(sql, 'reason IN (''unfetched'', ''failed'', ''rejected'',
                          ''provider_empty'', ''no_trade'', ''pre_listing'', ''delisted'')',
             'reason = ''unfetched'' OR reason = ''failed'' OR reason = ''rejected''
                          OR reason = ''provider_empty'' OR reason = ''no_trade''
                          OR reason = ''pre_listing'' OR reason = ''delisted''')
 WHERE type = 'table' AND name = 'gaps';

UPDATE sqlite_schema
   SET sql = replace(sql, 'status IN (''pending'', ''in_progress'', ''retry'', ''completed'',
                             ''deferred'', ''failed'', ''skipped'')',
             'status = ''pending'' OR status = ''completed'' OR status = ''in_progress''
                             OR status = ''retry'' OR status = ''deferred'' OR status = ''failed''
                             OR status = ''skipped''')
 WHERE type = 'table' AND name = 'jobs';

UPDATE sqlite_schema
   SET sql = replace(sql, 'status IN (''fresh'', ''aging'', ''stale'', ''missing'')',
             'status = ''fresh'' OR status = ''aging'' OR status = ''stale'' OR status = ''missing''')
 WHERE type = 'table' AND name = 'freshness';

PRAGMA writable_schema = RESET;
