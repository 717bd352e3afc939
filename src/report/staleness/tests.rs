use std::fs;

use proptest::prelude::*;

use super::*;
use crate::config;
use crate::domain::fact::FeaturesFact;

/// 2024-07-02T12:00:00Z.
const NOW: i64 = 1_719_921_600;

const CONFIG: &str = r#"
[providers.one]
kind = "polygon"
api_key = { env = "KEY" }
[providers.two]
kind = "polygon"
api_key = { env = "KEY" }
[[group]]
name = "first"
provider = "one"
asset_class = "stock"
symbols = ["B", "A", "C", "D"]
timeframes = ["5m", "1d"]
[[group]]
name = "second"
provider = "two"
asset_class = "stock"
symbols = ["E", "F"]
timeframes = ["1h", "1d"]
"#;

fn settings() -> Settings {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mdctl.toml");
    fs::write(&path, CONFIG).expect("a file");
    config::load(&path, None).expect("the config")
}

/// Days since the last bar and since that of the last features, where there are any; whether it failed.
type Held = (Option<i64>, Option<i64>, bool);

fn facts(settings: &Settings, held: &[Option<Held>]) -> Facts {
    let fact = |((key, _, _), held): ((SeriesKey, _, _), &Option<Held>)| {
        let (bars, features, failed) = (*held)?;
        let at = |days: i64| NOW - NOW % 86_400 - days * 86_400;
        let features = FeaturesFact { last_ts: features.map(at), ..FeaturesFact::default() };
        Some(SeriesFact {
            series_id: 0,
            key,
            first_ts: bars.map(at),
            watermark_ts: bars.map(at),
            bar_count: 1,
            added_at: Some(0),
            features: Some(features),
            marks: Marks { consecutive_failures: u32::from(failed), ..Marks::default() }.boxed(),
            planned: None,
        })
    };
    Facts { series: settings.series().zip(held).filter_map(fact).collect(), ..Facts::default() }
}

/// What a verdict tells of the series of a provider that lack the same: how many, how many of them are late
/// beyond what is critical, and the worst of them.
fn told(staleness: &Staleness, provider: &str, lack: Lack) -> (u64, u64, Option<SeriesState>) {
    let rows = || {
        let own = staleness.series.iter().filter(|row| &*row.provider == provider);
        own.filter(|row| row.lack() == Some(lack))
    };
    let others = staleness.left_out.get(provider).copied().unwrap_or_default();
    let beyond = match lack {
        Lack::NewBars => rows().filter(|row| row.beyond_stale).count() as u64 + others.beyond_stale,
        _ => 0,
    };
    (rows().count() as u64 + others.lacking(lack), beyond, rows().next().cloned())
}

fn held() -> impl Strategy<Value = Option<Held>> {
    let days = || prop::option::weighted(0.8, 0..9_i64);
    prop::option::weighted(0.9, (days(), days(), prop::bool::weighted(0.1)))
}

proptest! {
    #[test]
    fn what_is_left_out_changes_no_verdict(held in prop::collection::vec(held(), 12)) {
        let settings = settings();
        let facts = facts(&settings, &held);
        let (every, worst) = (judge(&settings, &facts, NOW), judge_worst(&settings, &facts, NOW));
        prop_assert_eq!(every.counts(), worst.counts());
        prop_assert_eq!(every.series.len(), 12);
        prop_assert!(every.left_out.is_empty());
        for provider in ["one", "two"] {
            for lack in [Lack::Bars, Lack::NewBars, Lack::Features] {
                prop_assert_eq!(told(&every, provider, lack), told(&worst, provider, lack));
            }
        }
        let old = |staleness: &Staleness| {
            let hidden = staleness.left_out.values().map(|others| others.old_features).sum::<u64>();
            hidden + staleness.series.iter().filter(|row| row.has_old_features()).count() as u64
        };
        prop_assert_eq!(old(&every), old(&worst));
        let mut rest = every.series.iter();
        prop_assert!(worst.series.iter().all(|row| rest.any(|other| other == row)), "in their order");
        let noted = |staleness: &Staleness| {
            staleness.series.iter().filter(|row| row.marks.is_some()).cloned().collect::<Vec<_>>()
        };
        prop_assert_eq!(noted(&every), noted(&worst));
    }
}
