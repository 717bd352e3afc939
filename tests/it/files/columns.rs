//! What the columns of a file are called, and how its times are written.

use super::{PROVIDER, folder, one_file, put, refused, stored};
use crate::support::market::{day, instant};
use crate::support::{AS_OF, Sandbox, group};

/// Three hours of a pair that never rests, as they are to be stored.
const HOURS: [&str; 3] = [
    "1709254800 10.0 12.0 9.0 11.0 100.0",
    "1709258400 11.0 13.0 10.0 12.0 200.0",
    "1709262000 12.0 14.0 11.0 13.0 300.0",
];

#[test]
fn columns_are_known_by_their_usual_names_in_any_order() {
    // A header, and a row in which {T} is the time and {O}, {H}, {L}, {C}, {V} the values.
    for (header, row) in [
        ("ts,open,high,low,close,volume", "{T},{O},{H},{L},{C},{V}"),
        ("VOLUME, Close ,low,HIGH,Open,Timestamp", "{V},{C},{L},{H},{O},{T}"),
        ("t,o,h,l,c,v,vw,n", "{T},{O},{H},{L},{C},{V},9.5,7"),
        ("<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", "{T},{O},{H},{L},{C},{V}"),
        (
            "\u{feff}\"Open time\",\"Open\",\"High\",\"Low\",\"Close\",\"Volume\"",
            "\"{T}\",\"{O}\",\"{H}\",\"{L}\",\"{C}\",\"{V}\"",
        ),
        ("Date;Open;High;Low;Close;Volume", "{T};{O};{H};{L};{C};{V}"),
        ("datetime\topen\thigh\tlow\tclose\tvolume", "{T}\t{O}\t{H}\t{L}\t{C}\t{V}"),
        ("time,open,high,low,close,Volume,Volume MA", "{T},{O},{H},{L},{C},{V},999"),
        ("Datetime,Adj Close,Open,High,Low,Close,Volume", "{T},1.5,{O},{H},{L},{C},{V}"),
        ("Datetime,Open,High,Low,Close,Adj Close,Volume", "{T},{O},{H},{L},{C},1.5,{V}"),
        (
            "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount",
            "{T},03/01/2024,BTC/USDT,{O},{H},{L},{C},{V},999,7",
        ),
        (
            "date,unix,open,high,low,close,Volume USDT,Volume BTC",
            "never,{T},{O},{H},{L},{C},999,{V}",
        ),
        (
            "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price",
            "{T},{O},{H},{L},{C},{V},999,9.5",
        ),
        (
            "open_time,open,high,low,close,volume,close_time,quote_volume,count",
            "{T},{O},{H},{L},{C},{V},0,999,7",
        ),
        ("ts,open,high,low,close,volume,note", "{T},{O},{H},{L},{C},{V},\"a, b\""),
        ("ts,open,high,low,close,volume,note", "{T},{O},{H},{L},{C},{V}"),
    ] {
        let rows = HOURS.map(|hour| {
            let values: Vec<&str> = hour.split(' ').collect();
            let names = ["{T}", "{O}", "{H}", "{L}", "{C}", "{V}"];
            names
                .iter()
                .zip(values)
                .fold(row.to_owned(), |row, (name, value)| row.replace(name, value))
        });
        let text = format!("{header}\n{}\n", rows.join("\n"));
        let sandbox = one_file("crypto", "BTCUSDT", "1h", "BTCUSDT_1h.csv", text);
        sandbox.backfill(&[]).expect_code(0);
        assert_eq!(stored(&sandbox), HOURS, "{header}");
        assert_eq!(refused(&sandbox), Vec::<String>::new(), "{header}");
    }
}

#[test]
fn the_volume_weighted_price_and_the_trades_are_kept() {
    let text = "Unix,Open,High,Low,Close,Volume,Weighted_Price,Number of trades\n1709254800,10,12,9,11,100,10.5,7\n";
    let sandbox = one_file("crypto", "BTCUSDT", "1h", "BTCUSDT_1h.csv", text);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().texts("SELECT vwap || ' ' || trades FROM bars"), ["10.5 7"]);
}

#[test]
fn a_volume_in_the_quote_currency_alone_is_no_volume() {
    let text = "unix,open,high,low,close,Volume USDT\n1709254800,10,12,9,11,100\n";
    let sandbox = one_file("crypto", "BTCUSDT", "1h", "BTCUSDT_1h.csv", text);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(stored(&sandbox), ["1709254800 10.0 12.0 9.0 11.0 -"]);
}

#[test]
fn a_header_that_lacks_a_column_or_has_it_twice_is_named_with_its_file() {
    for (header, words) in [
        ("ts,open,high,low,Adj Close,volume", "no column `close`"),
        ("day of week,open,high,low,close", "no column `ts`"),
        ("ts,open,high,low,close,CLOSE", "the column `close` twice"),
        ("ts,TS,open,high,low,close", "the column `ts` twice"),
        ("1709254800,10,12,9,11,100", "no column `ts`"),
    ] {
        let text = format!("{header}\n1709254800,10,12,9,11,100\n");
        let sandbox = one_file("crypto", "BTCUSDT", "1h", "BTCUSDT_1h.csv", text);
        sandbox.backfill(&[]).expect_code(2).expect_stderr(words).expect_stderr("BTCUSDT_1h.csv");
        let kinds = sandbox.database().texts("SELECT error_kind FROM failures");
        assert_eq!(kinds, ["malformed"], "{header}");
    }
}

#[test]
fn what_stands_before_the_header_is_passed_over_and_counts_as_lines() {
    let text = "https://www.CryptoDataDownload.com\r\n# bars of an hour\r\n\r\nsep=,\r\n\
                unix,open,high,low,close,Volume BTC\r\n# a remark\r\n1709254800,10,12,9,11,100\r\n\
                1709258400,10,12,9,nought,100\r\n";
    let sandbox = one_file("crypto", "BTCUSDT", "1h", "BTCUSDT_1h.csv", text);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(stored(&sandbox), ["1709254800 10.0 12.0 9.0 11.0 100.0"]);
    assert_eq!(refused(&sandbox), ["invalid_number 8"]);
}

#[test]
fn a_time_is_read_in_every_form_that_has_one_meaning() {
    for time in [
        "2024-03-01T14:00:00Z",
        "2024-03-01T09:00:00-05:00",
        "2024-03-01T14:00:00",
        "2024-03-01 14:00:00",
        "2024-03-01 14:00",
        "2024-03-01 14:00:00.000",
        "2024-03-01 14:00:00+00:00",
        "2024-03-01 14:00:00 UTC",
        "2024/03/01 14:00",
        "202403011400",
        "20240301140000",
        "1709301600",
        "1709301600.0",
        "1709301600000",
        "1709301600000000",
        "1709301600000000000",
    ] {
        let text = format!("ts,open,high,low,close\n{time},10,12,9,11\n");
        let sandbox = one_file("crypto", "BTCUSDT", "1h", "BTCUSDT_1h.csv", text);
        sandbox.backfill(&[]).expect_code(0);
        assert_eq!(stored(&sandbox), ["1709301600 10.0 12.0 9.0 11.0 -"], "{time}");
    }
}

#[test]
fn a_date_and_a_time_of_day_may_stand_in_two_columns() {
    let text = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\nX,60,20240301,140000,10,12,9,11,5\n";
    let sandbox = one_file("crypto", "BTCUSDT", "1h", "BTCUSDT_1h.csv", text);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(stored(&sandbox), ["1709301600 10.0 12.0 9.0 11.0 5.0"]);
}

/// A sandbox with a daily file of one row, stamped so.
fn daily(class: &str, calendar: &str, time: &str) -> Sandbox {
    let more = format!("timeframes = [\"1d\"]\ncalendar = {calendar:?}");
    let sandbox = Sandbox::with(&(PROVIDER.to_owned() + &group("local", class, &["X"], &more)));
    put(&sandbox, "X_1d.csv", format!("Date,open,high,low,close\n{time},10,12,9,11\n"));
    sandbox
}

#[test]
fn a_day_is_its_sessions_date_whatever_instant_of_it_is_stated() {
    for (class, calendar, time) in [
        ("stock", "XNYS", "2024-03-01"),
        ("stock", "XNYS", "20240301"),
        ("stock", "XNYS", "2024-03-01T00:00:00Z"),
        ("stock", "XNYS", "2024-03-01T05:00:00Z"),
        ("stock", "XNYS", "2024-03-01 00:00:00-05:00"),
        ("stock", "XNYS", "1709269200"),
        ("stock", "XNYS", "1709327400"),
        ("stock", "XTKS", "2024-02-29T15:00:00Z"),
        ("stock", "XTKS", "2024-03-01 00:00:00+09:00"),
        ("stock", "XTKS", "2024-03-01T00:00:00Z"),
        ("crypto", "24x7", "2024-03-01T23:59:59.999Z"),
        ("forex", "FX", "2024-03-01"),
        ("forex", "FX", "2024-02-29 22:00:00"),
    ] {
        let sandbox = daily(class, calendar, time);
        sandbox.backfill(&[]).expect_code(0);
        assert_eq!(sandbox.database().times("X", "1d"), [day("2024-03-01")], "{calendar} {time}");
    }
}

#[test]
fn an_hour_off_its_grid_stays_off_it() {
    let text = "ts,open,high,low,close\n2024-03-01T14:00:00Z,10,12,9,11\n2024-03-01T15:00:34Z,10,12,9,11\n";
    let sandbox = one_file("crypto", "BTCUSDT", "1h", "BTCUSDT_1h.csv", text);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("BTCUSDT", "1h"), [instant("2024-03-01T14:00:00Z")]);
    assert_eq!(refused(&sandbox), ["off_grid_ts 3"]);
}

#[test]
fn a_date_that_begins_with_day_or_month_is_refused_and_the_text_says_why() {
    let sandbox = daily("stock", "XNYS", "03/01/2024");
    sandbox.backfill(&[]).expect_code(2).expect_stderr("write YYYY-MM-DD");
    assert_eq!(refused(&sandbox), ["invalid_number 2"]);
}

#[test]
fn rows_of_nulls_and_rows_that_are_no_text_cost_themselves_alone() {
    let sandbox = folder(&["AAA"], &[]);
    let mut text = b"Date,Open,High,Low,Close,Adj Close,Volume\n2024-03-01,10,12,9,11,11,5\n\
                     2024-03-04,null,null,null,null,null,null\n\xff\xfe,10,12,9,11,11,5\n\
                     2024-03-06,\"10,12,9,11,11,5\n"
        .to_vec();
    text.extend(b"2024-03-05,10,12,9,11,11,5\n");
    put(&sandbox, "AAA_1d.csv", text);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("AAA", "1d"), [day("2024-03-01"), day("2024-03-05")]);
    assert_eq!(refused(&sandbox), ["invalid_number 3", "invalid_number 4", "invalid_number 5"]);
    assert!(day(AS_OF) > day("2024-03-05"));
}
