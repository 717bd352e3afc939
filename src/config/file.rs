//! Structs that mirror the TOML one to one: every key optional but the required ones, unknown ones
//! refused. What a value means when it is absent is decided in `resolve`, not here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use crate::domain::alert::Severity;
use crate::domain::series::AssetClass;
use crate::domain::timeframe::Timeframe;

use super::values::{Date, LocalTime, Size, Span, Text, ZonedTime};

type Duration = Text<Span>;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub database: Database,
    pub run: Run,
    pub providers: BTreeMap<String, Spanned<Provider>>,
    pub group: Vec<Spanned<Group>>,
    pub freshness: Freshness,
    pub health: Health,
    pub calendars: BTreeMap<Spanned<String>, Calendar>,
    pub log: Log,
    pub objectives: Option<Objectives>,
    pub alerts: Vec<Spanned<Alert>>,
    pub notify: BTreeMap<String, Spanned<Notifier>>,
    pub metrics: Metrics,
    pub otlp: Otlp,
    pub report: Report,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Database {
    pub path: Option<String>,
    pub retention: Option<Retention>,
}

/// For `db prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retention {
    pub logs: Option<Duration>,
    pub runs: Option<Duration>,
    pub bars: Option<Spanned<BTreeMap<Text<Timeframe>, Duration>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Run {
    pub parallel: Parallel,
    pub stagger: Option<Duration>,
    pub deadline: Option<Duration>,
    pub job_retries: Option<Spanned<JobRetries>>,
    pub grace: Option<Duration>,
    pub treat_as: TreatAs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Parallel {
    pub backfill: Option<Spanned<u32>>,
    pub enrich: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct JobRetries {
    pub max: Option<u32>,
    pub initial: Option<Duration>,
    pub multiplier: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TreatAs {
    pub partial: Option<u8>,
    pub failed: Option<u8>,
    pub deferred: Option<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    pub kind: Spanned<String>,
    pub path: Option<String>,
    pub base_url: Option<Spanned<String>>,
    pub api_key: Option<Secret>,
    pub api_secret: Option<Secret>,
    pub adjusted: Option<bool>,
    pub page_limit: Option<Spanned<u32>>,
    pub publication: Option<Publication>,
    pub history: Option<Duration>,
    pub grouped: Option<bool>,
    pub connect_timeout: Option<Duration>,
    pub request_timeout: Option<Duration>,
    pub read_timeout: Option<Duration>,
    pub max_body: Option<Text<Size>>,
    pub rate: Option<Spanned<Rates>>,
    pub retry: Option<Spanned<Retry>>,
    pub breaker: Option<Spanned<Breaker>>,
    pub bulkhead: Option<Bulkhead>,
}

/// Where a secret is to be found: exactly one of the three.
#[derive(Debug)]
pub(super) enum Secret {
    Env(String),
    File(String),
    Credential(String),
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Place;
        impl<'de> Visitor<'de> for Place {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(SECRET_FORMS)
            }
            // What is written here may be a key: no message may repeat it.
            fn visit_str<E: Error>(self, _key: &str) -> Result<Secret, E> {
                Err(written_out())
            }
            fn visit_i64<E: Error>(self, _key: i64) -> Result<Secret, E> {
                Err(written_out())
            }
            fn visit_f64<E: Error>(self, _key: f64) -> Result<Secret, E> {
                Err(written_out())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
                let wrong = || A::Error::custom(format!("expected {SECRET_FORMS}"));
                let (form, place) = map.next_entry::<String, String>()?.ok_or_else(wrong)?;
                if map.next_key::<String>()?.is_some() {
                    return Err(A::Error::custom(format!(
                        "expected one of {SECRET_FORMS}, not several"
                    )));
                }
                match form.as_str() {
                    "env" => Ok(Secret::Env(place)),
                    "file" => Ok(Secret::File(place)),
                    // A name, and no way out of the folder of credentials.
                    "credential" if place.contains('/') || place.starts_with('.') => {
                        Err(A::Error::custom("a credential is named like a file, without a folder"))
                    }
                    "credential" => Ok(Secret::Credential(place)),
                    _ => Err(wrong()),
                }
            }
        }
        deserializer.deserialize_any(Place)
    }
}

/// A key stands where its place should be named.
fn written_out<E: Error>() -> E {
    E::custom(format!("a key is not written into the config; expected {SECRET_FORMS}"))
}

const SECRET_FORMS: &str = "{ env = \"NAME\" }, { file = \"PATH\" } or { credential = \"NAME\" }";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Publication {
    pub lag: Option<Duration>,
    pub end_of_day: Option<Text<ZonedTime>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rate {
    pub requests: u32,
    pub per: Duration,
    pub burst: Option<u32>,
}

/// One rate, or a list of them, all obeyed.
#[derive(Debug)]
pub(super) struct Rates(pub Vec<Rate>);

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Rates;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate like { requests = 5, per = \"60s\" }, or a list of them")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rates, A::Error> {
                Rate::deserialize(MapAccessDeserializer::new(map)).map(|rate| Rates(vec![rate]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Rates, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Rates)
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retry {
    pub max_retries: Option<u32>,
    pub initial: Option<Duration>,
    pub max: Option<Duration>,
    pub multiplier: Option<f64>,
    pub jitter: Option<JitterWord>,
    pub budget: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum JitterWord {
    Full,
    None,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Breaker {
    pub failure_rate: Option<Spanned<f64>>,
    pub min_calls: Option<u32>,
    pub window: Option<u32>,
    pub recovery: Option<Duration>,
    pub half_open_calls: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Bulkhead {
    pub max_concurrent: Option<Spanned<u32>>,
    pub timeout: Option<Duration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub name: Spanned<String>,
    pub provider: Spanned<String>,
    pub asset_class: Spanned<Text<AssetClass>>,
    pub calendar: Option<Spanned<String>>,
    pub symbols: Option<Spanned<Vec<Spanned<Member>>>>,
    pub symbols_file: Option<Spanned<String>>,
    pub timeframes: Spanned<Vec<Text<Timeframe>>>,
    #[serde(default)]
    pub lookback: BTreeMap<Text<Timeframe>, Duration>,
    pub settle: Option<Duration>,
    #[serde(default)]
    pub priority: i64,
    pub features: Option<Spanned<BTreeMap<Text<Timeframe>, Vec<String>>>>,
    #[serde(default)]
    pub freshness: Freshness,
}

/// A symbol of a group: its name alone, or a table.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub symbol: String,
    pub aliases: Vec<Alias>,
    pub delisted: Option<Date>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alias {
    pub symbol: String,
    pub until: Text<Date>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberTable {
    symbol: String,
    #[serde(default)]
    aliases: Vec<Alias>,
    delisted: Option<Text<Date>>,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable;
        impl<'de> Visitor<'de> for NameOrTable {
            type Value = Member;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a symbol, or a table like { symbol = \"META\" }")
            }
            fn visit_str<E: Error>(self, symbol: &str) -> Result<Member, E> {
                Ok(Member { symbol: symbol.to_owned(), aliases: Vec::new(), delisted: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Member, A::Error> {
                let table = MemberTable::deserialize(MapAccessDeserializer::new(map))?;
                let delisted = table.delisted.map(|date| date.0);
                Ok(Member { symbol: table.symbol, aliases: table.aliases, delisted })
            }
        }
        deserializer.deserialize_any(NameOrTable)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ThresholdsTable {
    pub fresh: Option<Duration>,
    pub aging: Option<Duration>,
    pub stale: Option<Duration>,
}

/// `fresh`, `aging`, `stale`, and tables of them under a timeframe's name.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    pub default: ThresholdsTable,
    pub by_timeframe: BTreeMap<Timeframe, ThresholdsTable>,
}

impl<'de> Deserialize<'de> for Freshness {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const KEYS: &[&str] =
            &["fresh", "aging", "stale", "1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"];
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = Freshness;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of freshness thresholds")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Freshness, A::Error> {
                let mut freshness = Freshness::default();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    match key.get_ref().as_str() {
                        "fresh" => freshness.default.fresh = Some(map.next_value()?),
                        "aging" => freshness.default.aging = Some(map.next_value()?),
                        "stale" => freshness.default.stale = Some(map.next_value()?),
                        other => match other.parse() {
                            Ok(timeframe) => {
                                freshness.by_timeframe.insert(timeframe, map.next_value()?);
                            }
                            Err(_) => return Err(A::Error::unknown_field(other, KEYS)),
                        },
                    }
                }
                Ok(freshness)
            }
        }
        deserializer.deserialize_map(Table)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Health {
    pub max_run_age: Option<Duration>,
    pub max_failure_rate: Option<Spanned<f64>>,
    pub recent: Option<Duration>,
    pub critical_share: Option<Spanned<f64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Calendar {
    pub closed: BTreeSet<Text<Date>>,
    pub early: BTreeMap<Text<Date>, Text<LocalTime>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub file: Option<String>,
    pub keep: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Metrics {
    pub textfile: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Otlp {
    pub endpoint: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Report {
    pub html: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Objectives {
    pub run_success_rate: Option<Spanned<f64>>,
    pub fetch_p99: Option<Duration>,
    pub detection: Option<Detection>,
    pub rpo: Option<Duration>,
    pub rto: Option<Duration>,
    pub window: Option<Spanned<Duration>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Detection {
    pub share: Spanned<f64>,
    pub within: Duration,
}

/// A rule, or what is to be different in a built-in one of that name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alert {
    pub name: Spanned<String>,
    pub field: Option<Spanned<String>>,
    pub above: Option<Spanned<f64>>,
    pub below: Option<Spanned<f64>>,
    pub equals: Option<Spanned<Plain>>,
    pub r#for: Option<Duration>,
    pub severity: Option<Text<Severity>>,
    pub enabled: Option<bool>,
}

/// A plain value.
#[derive(Clone, Debug)]
pub(super) enum Plain {
    Text(String),
    Number(f64),
    Truth(bool),
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl Visitor<'_> for Value {
            type Value = Plain;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, true or false")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Plain, E> {
                Ok(Plain::Text(text.to_owned()))
            }
            fn visit_bool<E: Error>(self, truth: bool) -> Result<Plain, E> {
                Ok(Plain::Truth(truth))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Plain, E> {
                Ok(Plain::Number(number as f64))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Plain, E> {
                Ok(Plain::Number(number))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

/// Who is told. Which keys a kind takes is checked in `resolve`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notifier {
    pub kind: Spanned<String>,
    pub url: Option<Spanned<Address>>,
    pub command: Option<Spanned<Vec<String>>>,
    pub token: Option<Secret>,
    pub min_severity: Option<Text<Severity>>,
    pub send_resolved: Option<bool>,
    pub repeat: Option<Duration>,
}

/// A URL as it stands, or where it is kept: of some services it is a key itself.
#[derive(Debug)]
pub(super) enum Address {
    Written(String),
    Kept(Secret),
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Place;
        impl<'de> Visitor<'de> for Place {
            type Value = Address;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a URL, or {SECRET_FORMS}")
            }
            fn visit_str<E: Error>(self, url: &str) -> Result<Address, E> {
                Ok(Address::Written(url.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Address, A::Error> {
                Secret::deserialize(MapAccessDeserializer::new(map)).map(Address::Kept)
            }
        }
        deserializer.deserialize_any(Place)
    }
}
