//! How densely the heap is sampled in a scenario.

use super::decide::most_operations;
use crate::scenario::{Restart, Scenario, Script};

/// Samples that the smallest growth anyone cares about is to be worth. The standard error of a share of it is
/// `1 / sqrt(samples)`: 5 %.
const SAMPLES: f64 = 400.0;
/// Denser than this, sampling itself takes time that would be noticed; the sampler would thin its samples anyway.
const LEAST_BYTES: u64 = 4 << 10;
/// Sparser than this, what is found would be the largest owners alone.
const MOST_BYTES: u64 = 512 << 10;
/// Where the number of operations depends on the target's speed.
const USUAL_BYTES: u64 = 64 << 10;

/// The mean number of bytes between two samples of the heap in a scenario: `smallest.memory` times the fewest operations that it
/// makes (seconds, where it is idle), divided by 400, and at least 4 KiB and at most 512 KiB. A target that stays for several
/// scenarios has the smallest interval of these. What the command line says goes before.
pub fn heap_interval_bytes(script: &Script, scenario: &Scenario) -> u64 {
    let chosen = || match script.target.restart {
        Restart::PerScenario => interval(scenario),
        Restart::Never => script.scenarios.iter().map(interval).min().unwrap_or(USUAL_BYTES),
    };
    script.heap_interval_bytes.unwrap_or_else(chosen)
}

fn interval(scenario: &Scenario) -> u64 {
    let fewest = Scenario { max_cycles: scenario.min_cycles, ..scenario.clone() };
    let asked = scenario.min_operations.map(|operations| operations as f64);
    let operations = most_operations(&fewest).map(|operations| operations.max(asked.unwrap_or(0.0))).or(asked);
    let bytes = operations.map(|operations| scenario.plan.smallest.memory * operations / SAMPLES);
    bytes.map_or(USUAL_BYTES, |bytes| (bytes as u64).clamp(LEAST_BYTES, MOST_BYTES))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sample::HeapSampling;
    use crate::scenario::script::{describe, load};

    fn script(target: &str, scenarios: &str) -> Script {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tidewatch.toml");
        let text = format!("[target]\nlaunch = [\"true\"]\nport = 1\n{target}\n{scenarios}");
        std::fs::write(&path, text).expect("written");
        load(&path, &BTreeMap::new(), &[]).unwrap_or_else(|error| panic!("{error}"))
    }

    fn flood(lines: &str) -> String {
        let name = lines.replace(['\n', '"'], " ");
        format!("[[scenario]]\nname = '{name}'\nshape = \"flood\"\n{lines}\nstep = {{ http = {{ url = \"/\" }} }}\n")
    }

    #[test]
    fn the_smallest_growth_that_matters_is_worth_400_samples() {
        for (lines, bytes) in [
            // 3 s and 10 times 750 ms at 2,000/s are 21,000 operations.
            ("rate = \"2000/s\"\nsmallest = { memory = \"400B\" }", 21_000),
            ("rate = \"2000/s\"\nsmallest = { memory = \"100B\" }", 5_250),
            ("rate = \"2000/s\"\nsmallest = { memory = \"10B\" }", 4_096),
            ("rate = \"2000/s\"\nsmallest = { memory = \"1MiB\" }", 524_288),
            ("rate = \"2000/s\"\nsmallest = { memory = \"400B\" }\nmin_operations = 30000", 30_000),
            ("rate = \"2000/s\"\nsmallest = { memory = \"400B\" }\nmin_operations = 3000", 21_000),
            // As fast as it goes: nobody knows how many that are.
            ("workers = 4", 65_536),
            ("workers = 4\nmin_operations = 40000\nsmallest = { memory = \"400B\" }", 40_000),
            ("workers = 4\nwarmup = \"0s\"\nload = { operations = 3000 }\nsmallest = { memory = \"400B\" }", 30_000),
        ] {
            let script = script("", &flood(lines));
            assert_eq!(heap_interval_bytes(&script, &script.scenarios[0]), bytes, "{lines}");
        }
        let idle = "[[scenario]]\nname = \"i\"\nshape = \"idle\"\nsmallest = { memory = \"400KiB/s\" }\nwarmup = \"1s\"\n\
                    load = { for = \"2s\" }\nsettle = \"1s\"\n";
        let script = script("", idle);
        assert_eq!(heap_interval_bytes(&script, &script.scenarios[0]), 31 * 1024);
    }

    #[test]
    fn a_target_that_stays_has_one_interval_and_the_command_line_goes_before() {
        let two =
            ["200B", "400B"].map(|memory| flood(&format!("rate = \"2000/s\"\nsmallest = {{ memory = \"{memory}\" }}")));
        let intervals = |script: &Script| {
            script.scenarios.iter().map(|scenario| heap_interval_bytes(script, scenario)).collect::<Vec<_>>()
        };
        assert_eq!(intervals(&script("", &two.concat())), [10_500, 21_000]);
        assert_eq!(intervals(&script("restart = false", &two.concat())), [10_500, 10_500]);
        let given = Script { heap_interval_bytes: Some(7), ..script("", &two.concat()) };
        assert_eq!(intervals(&given), [7, 7]);
    }

    #[test]
    fn the_file_asks_for_it_and_the_dry_run_tells_it() {
        let flood = flood("rate = \"2000/s\"\nsmallest = { memory = \"400B\" }");
        for (target, heap, told) in [
            ("", HeapSampling::Off, None),
            ("heap = false", HeapSampling::Off, None),
            ("heap = true", HeapSampling::On, Some(21_000)),
        ] {
            let script = script(target, &flood);
            assert_eq!(script.plan.heap, heap, "{target}");
            assert_eq!(describe(&script).scenarios[0].heap_interval_bytes, told, "{target}");
        }
    }
}
