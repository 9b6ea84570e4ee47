//! How sure a scenario has to be before it ends: `check --quick` and `--thorough`.
//!
//! Neither changes how growth is judged. Quick gives up earlier: what cannot be decided by then is inconclusive, as
//! always. Thorough goes on for longer: a verdict must stand over twice the cycles at which it was first reached.

use crate::growth::{Growth, looks};
use crate::sample::Effort;
use crate::scenario::{Scenario, Script, script};

/// The look at which a quick run gives up. A verdict of growth stands at 22 cycles at the earliest: one look more.
const QUICK_CYCLES: u32 = 33;
/// The fewest cycles of a thorough run, and the fewest that it must be able to have: one look past those that share the
/// chance of a false alarm, and three times what the file allows.
const THOROUGH_FEWEST: u32 = 33;
const THOROUGH_CYCLES: u32 = 165;
const THOROUGH_TIMES: u32 = 3;
/// Cycles over which a thorough run wants a verdict to stand, in multiples of those at which it was first reached.
const STANDS_FOR: u32 = 2;

/// Makes a script's scenarios as long as an effort asks for.
pub fn apply(effort: Effort, script: &mut Script) {
    script.plan.effort = effort;
    for (scenario, kept) in script.scenarios.iter_mut().zip(&mut script.plan.scenarios) {
        scenario.max_cycles = match effort {
            Effort::Quick => quick(scenario),
            Effort::Standard => scenario.max_cycles,
            Effort::Thorough => thorough(scenario.max_cycles),
        };
        if effort != Effort::Standard {
            scenario.further_cycles = scenario.max_cycles;
        }
        scenario.min_cycles = scenario.min_cycles.min(scenario.max_cycles);
        for load in [&mut scenario.plan.load, &mut kept.load] {
            (load.min_cycles, load.max_cycles) = (scenario.min_cycles, scenario.max_cycles);
        }
    }
}

/// The first look from 33 on that has the operations that `smallest` and `min_operations` need; never more cycles than
/// the file allows.
fn quick(scenario: &Scenario) -> u32 {
    let enough = |cycles: &u32| {
        let shorter = Scenario { max_cycles: *cycles, ..scenario.clone() };
        script::too_short(&shorter).is_none()
    };
    let candidates = looks().skip_while(|cycles| *cycles < QUICK_CYCLES);
    let cycles = candidates.take_while(|cycles| *cycles < scenario.max_cycles).find(enough);
    cycles.unwrap_or(scenario.max_cycles)
}

/// The first look at or past three times what the file allows.
fn thorough(max_cycles: u32) -> u32 {
    let least = max_cycles.saturating_mul(THOROUGH_TIMES).max(THOROUGH_CYCLES);
    looks().find(|cycles| *cycles >= least).unwrap_or(u32::MAX)
}

/// Whether a verdict is enough to end a scenario at a look after so many cycles.
pub fn suffices(effort: Effort, growth: &Growth, cycles: u32) -> bool {
    match effort {
        Effort::Quick | Effort::Standard => growth.is_decided(),
        Effort::Thorough => {
            cycles >= THOROUGH_FEWEST
                && growth.decided_at.is_some_and(|at| u64::from(cycles) >= u64::from(STANDS_FOR) * u64::from(at))
        }
    }
}

/// The cycle until which a run goes on after all that were planned: the nearest at which the judge expects to decide what is
/// open. Nothing where that is past `most`.
pub fn further(growths: &[Growth], cycle: u32, most: u32) -> Option<u32> {
    let open = growths.iter().filter(|growth| !growth.is_decided());
    open.filter_map(|growth| cycle.checked_add(growth.more_cycles?)).filter(|until| *until <= most).min()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::growth::{Axis, Verdict};
    use crate::sample::Metric;

    fn script(cycles: &str, smallest: &str) -> Script {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tidewatch.toml");
        let text = format!(
            "[target]\nlaunch = [\"true\"]\nport = 1\n[[scenario]]\nname = \"a\"\nshape = \"flood\"\nrate = \"2000/s\"\n\
             cycles = {cycles}\nsmallest = {smallest}\nstep = {{ http = {{ url = \"/\" }} }}\n"
        );
        std::fs::write(&path, text).expect("written");
        script::load(&path, &BTreeMap::new(), &[]).expect("a script")
    }

    #[test]
    fn efforts_change_how_long_a_scenario_may_be() {
        let easy = "{ memory = \"100B\", count = 1e-3 }";
        // 30,000 operations each 1e-5 of what counts: 300,000 operations are 198 cycles of 1,500 after the warm-up.
        let hard = "{ memory = \"100B\", count = 1e-5 }";
        for (cycles, smallest, effort, min, max) in [
            ("{ min = 10, max = 50 }", easy, Effort::Standard, 10, 50),
            ("{ min = 10, max = 50 }", easy, Effort::Quick, 10, 33),
            ("{ min = 40, max = 50 }", easy, Effort::Quick, 33, 33),
            ("{ min = 10, max = 20 }", easy, Effort::Quick, 10, 20),
            ("{ min = 10, max = 300 }", hard, Effort::Quick, 10, 248),
            ("{ min = 10, max = 200 }", hard, Effort::Quick, 10, 200),
            ("{ min = 10, max = 50 }", easy, Effort::Thorough, 10, 165),
            ("{ min = 10, max = 110 }", easy, Effort::Thorough, 10, 372),
        ] {
            let mut script = script(cycles, smallest);
            apply(effort, &mut script);
            let scenario = &script.scenarios[0];
            assert_eq!((scenario.min_cycles, scenario.max_cycles), (min, max), "{cycles} {effort:?}");
            assert_eq!(scenario.further_cycles, max, "who names the most cycles is not asked for more");
            let kept = &script.plan.scenarios[0].load;
            assert_eq!((kept.min_cycles, kept.max_cycles), (min, max), "the plan says what is done");
            assert_eq!(scenario.plan.load, *kept);
            assert_eq!(script.plan.effort, effort);
        }
    }

    fn decided(at: Option<u32>) -> Growth {
        Growth {
            metric: Metric::Private,
            axis: Axis::Operations,
            verdict: if at.is_some() { Verdict::Flat } else { Verdict::Inconclusive },
            suspected: false,
            decided_at: at,
            per_op: None,
            per_hour: None,
            baseline: 0.0,
            last: 0.0,
            highest: 0.0,
            window: None,
            sensitivity: None,
            more_cycles: None,
            since: None,
            reason: String::new(),
            floors: Vec::new(),
        }
    }

    #[test]
    fn a_thorough_run_wants_a_verdict_to_stand_over_twice_its_cycles() {
        for (at, cycles, quick, thorough) in [
            (Some(10), 10, true, false),
            (Some(10), 22, true, false),
            (Some(10), 33, true, true),
            (Some(22), 33, true, false),
            (Some(22), 50, true, true),
            (Some(33), 50, true, false),
            (Some(33), 75, true, true),
            (None, 165, false, false),
        ] {
            let growth = decided(at);
            assert_eq!(suffices(Effort::Quick, &growth, cycles), quick, "{at:?} {cycles}");
            assert_eq!(suffices(Effort::Standard, &growth, cycles), quick, "{at:?} {cycles}");
            assert_eq!(suffices(Effort::Thorough, &growth, cycles), thorough, "{at:?} {cycles}");
        }
    }

    #[test]
    fn a_run_goes_on_only_where_that_is_expected_to_decide() {
        let open = |more_cycles| Growth { more_cycles, ..decided(None) };
        let at_rest = || Growth { more_cycles: Some(1), ..decided(Some(22)) };
        for (growths, until) in [
            (vec![open(Some(25))], Some(75)),
            (vec![open(Some(60))], Some(110)),
            (vec![open(Some(61))], None),
            (vec![open(None)], None),
            (vec![open(None), open(Some(60)), open(Some(25))], Some(75)),
            // What is decided asks for nothing.
            (vec![at_rest()], None),
            (vec![at_rest(), open(Some(60))], Some(110)),
            (vec![open(Some(u32::MAX))], None),
            (Vec::new(), None),
        ] {
            assert_eq!(further(&growths, 50, 110), until, "{growths:?}");
        }
    }
}
