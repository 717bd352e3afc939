-- What speed needs.

-- What the provider refuses to be asked for at once, of a whole market, as a JSON object: what, and until when it is
-- not asked for again, epoch seconds UTC. NULL when it refuses nothing.
ALTER TABLE rate_state ADD COLUMN refused TEXT;
