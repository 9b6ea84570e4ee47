//! Where the looks at the heap lie in a scenario. What they saw becomes curves where owners are known.

use super::{Axis, Curve, Reader, in_order};
use crate::sample::{HeapLook, MemorySource, Metric, Record, Shape};

impl Curve {
    /// A point for each look at the heap over the records of one scenario, with the looks in the same order. The values are
    /// zero, for the caller to fill in. A look that found no sampler saw nothing, and is left out.
    pub fn of_heap_looks(shape: Shape, axis: Axis, records: &[Record]) -> (Self, Vec<&HeapLook>) {
        let metric = Metric::Live(String::new());
        let mut reader = Reader::new(&metric, axis, MemorySource::default());
        let mut looks = Vec::new();
        in_order(records, |record| {
            reader.take(record);
            if let Record::Heap(look) = record
                && let Some(began) = reader.began
                && !reader.over
                && look.processes > 0
            {
                reader.push(began, look.at, look.operations, Some(0.0));
                looks.push(look.as_ref());
            }
        });
        let mut curve = Self { metric: metric.clone(), axis, points: reader.points, restarts: Some(reader.restarts) };
        if matches!(shape, Shape::Watch | Shape::Counted) {
            if axis == Axis::Operations {
                curve.between_readings(records);
            }
            curve.cut_into_windows();
        }
        (curve, looks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Border, Mark, Moment, Phase};

    fn look(at: u64, operations: u64, processes: u32) -> Record {
        Record::Heap(Box::new(HeapLook { at: Moment(at), operations, processes, ..HeapLook::default() }))
    }

    fn begins(at: u64, phase: Phase, cycle: u32) -> Record {
        Record::Mark(Mark { at: Moment(at), operations: 0, border: Border::PhaseBegins { phase, cycle } })
    }

    #[test]
    fn a_look_lies_in_the_phase_that_the_marks_say() {
        let records = [
            look(1, 0, 1),
            begins(2, Phase::Warmup, 0),
            look(3, 5, 0),
            begins(4, Phase::Load, 1),
            begins(6, Phase::Settle, 1),
            look(7, 20, 2),
            Record::Mark(Mark { at: Moment(8), operations: 20, border: Border::Closing }),
            look(9, 20, 2),
        ];
        let (curve, looks) = Curve::of_heap_looks(Shape::Flood, Axis::Operations, &records);
        let places: Vec<(f64, u32, Option<Phase>)> = curve.points.iter().map(|p| (p.x, p.cycle, p.phase)).collect();
        assert_eq!(places, [(0.0, 0, None), (20.0, 1, Some(Phase::Settle))]);
        assert_eq!(looks.iter().map(|look| look.at.0).collect::<Vec<_>>(), [1, 7]);
    }

    #[test]
    fn a_watch_is_cut_into_windows() {
        let records: Vec<Record> = (0..40).map(|n| look(n * 1_000_000, 0, 1)).collect();
        let (curve, looks) = Curve::of_heap_looks(Shape::Watch, Axis::Seconds, &records);
        assert_eq!((curve.points.len(), looks.len()), (40, 40));
        assert_eq!(curve.points.last().map(|point| point.cycle), Some(39));
    }

    #[test]
    fn looks_lie_between_the_readings_of_a_counter() {
        let reading = |at, operations| {
            let gauges = [("done".to_owned(), 1.0)].into();
            Record::Detail(Box::new(crate::sample::Detail { at: Moment(at), operations, gauges, ..Default::default() }))
        };
        let records = [reading(0, 0), look(250_000, 0, 1), look(750_000, 0, 1), reading(1_000_000, 100)];
        let places = |shape, axis| {
            let (curve, _) = Curve::of_heap_looks(shape, axis, &records);
            curve.points.iter().map(|point| (point.x, point.cycle)).collect::<Vec<_>>()
        };
        assert_eq!(places(Shape::Counted, Axis::Operations), [(25.0, 1), (75.0, 1)]);
        assert_eq!(places(Shape::Flood, Axis::Operations), [(0.0, 0), (0.0, 0)]);
        assert_eq!(places(Shape::Watch, Axis::Seconds), [(0.25, 1), (0.75, 1)]);
    }
}
