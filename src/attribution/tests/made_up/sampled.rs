//! A made-up heap as a sampler sees it: every block is sampled with its chance and stays so until it is freed.

use std::collections::BTreeMap;

use crate::sample::*;

/// A site of allocation: what its call stack is made of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// Functions with their file and line, innermost first. `@` before the file makes it one in line of the next.
    pub frames: &'static [(&'static str, &'static str, u32)],
    pub kind: HeapKind,
    /// The share of its blocks, in percent, that is freed and allocated anew between two looks.
    pub churn: u32,
}

pub struct SampledHeap {
    interval_bytes: u64,
    noise: u64,
    held: BTreeMap<&'static Site, (f64, u64)>,
    known: Vec<&'static Site>,
}

impl Default for SampledHeap {
    fn default() -> Self {
        Self::new(65_536, 5)
    }
}

impl SampledHeap {
    pub fn new(interval_bytes: u64, seed: u64) -> Self {
        let noise = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(17);
        Self { interval_bytes, noise, held: BTreeMap::new(), known: Vec::new() }
    }

    /// Another process: its heap is empty.
    pub fn forget(&mut self) {
        self.held.clear();
    }

    fn dice(&mut self) -> f64 {
        self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.noise >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// How many samples so many bytes are: a Poisson count.
    fn samples(&mut self, bytes: f64) -> u64 {
        let mean = (bytes / self.interval_bytes as f64).max(0.0);
        // In pieces: the chance of none of many is too small for a number.
        let pieces = (mean / 50.0).ceil().max(1.0);
        let mut count = 0;
        for _ in 0..pieces as u64 {
            let none = (-mean / pieces).exp();
            let mut chance = self.dice();
            while chance > none {
                count += 1;
                chance *= self.dice();
            }
        }
        count
    }

    fn change(&mut self, site: &'static Site, bytes: f64) -> u64 {
        let (held, samples) = self.held.get(site).copied().unwrap_or_default();
        let stays = if held > 0.0 { (bytes / held).min(1.0) } else { 0.0 } * (1.0 - f64::from(site.churn) / 100.0);
        let mut kept = 0;
        for _ in 0..samples {
            kept += u64::from(self.dice() < stays);
        }
        let samples = kept + self.samples(bytes - held * stays);
        self.held.insert(site, (bytes, samples));
        samples
    }

    pub fn look(
        &mut self,
        at: Moment,
        operations: u64,
        heap: &[(&'static Site, f64)],
        allocator: Option<AllocatorFigures>,
    ) -> Vec<Record> {
        let mut records = Vec::new();
        let mut live = Vec::new();
        for (site, bytes) in heap {
            let id = match self.known.iter().position(|known| known == site) {
                Some(id) => id,
                None => {
                    self.known.push(site);
                    records.push(self.stack(at, self.known.len() - 1));
                    self.known.len() - 1
                }
            };
            let samples = self.change(site, *bytes);
            let footprint = samples as f64 * self.interval_bytes as f64;
            if samples > 0 {
                live.push(HeapLive {
                    stack: id as u32,
                    samples,
                    blocks: footprint / 500.0,
                    bytes: footprint,
                    footprint,
                    error: (samples as f64).sqrt() * self.interval_bytes as f64,
                });
            }
        }
        records.push(Record::Heap(Box::new(HeapLook {
            at,
            operations,
            cost_us: 300,
            processes: 1,
            interval_bytes: self.interval_bytes,
            live,
            allocator,
            coverage: HeapCoverage { samples: 1000, ..HeapCoverage::default() },
            ..HeapLook::default()
        })));
        records
    }

    fn stack(&self, at: Moment, id: usize) -> Record {
        let frames = Self::addresses(id, self.known[id]).map(|(address, _)| address).collect();
        let module = Module { id: 0, path: "/opt/app/server".into(), build_id: Some("5c1f".into()) };
        let stack = CallStack { id: id as u32, kind: self.known[id].kind, frames };
        Record::Stacks(Box::new(CallStacks { at, modules: vec![module], stacks: vec![stack] }))
    }

    /// The addresses of a site with the functions at each.
    fn addresses(id: usize, site: &'static Site) -> impl Iterator<Item = (CodeAddress, Vec<Frame>)> {
        let is_inline = |(_, file, _): &(&str, &str, u32)| file.starts_with('@');
        let mut calls: Vec<Vec<Frame>> = vec![Vec::new()];
        for frame in site.frames {
            let (function, file, line) = *frame;
            let file = Some(file.trim_start_matches('@').to_owned()).filter(|file| !file.is_empty());
            let frame_here = Frame { function: function.into(), file, line: Some(line) };
            calls.last_mut().expect("one call at least").push(frame_here);
            if !is_inline(frame) {
                calls.push(Vec::new());
            }
        }
        calls.pop();
        let address = move |depth: usize| CodeAddress { module: Some(0), offset: (id * 1000 + depth * 16 + 1) as u64 };
        calls.into_iter().enumerate().map(move |(depth, frames)| (address(depth), frames))
    }

    pub fn symbols(&self, at: Moment) -> Option<Record> {
        let sites = self.known.iter().enumerate();
        let names: Vec<Symbol> = sites
            .flat_map(|(id, site)| Self::addresses(id, site))
            .map(|(address, frames)| Symbol { address, frames })
            .collect();
        (!names.is_empty()).then(|| Record::Symbols(Box::new(Symbols { at, names })))
    }
}
