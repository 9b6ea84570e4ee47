//! The guardian's life: start the target, watch three things (tidewatch, the target, orphans), end the family.

use std::collections::{HashMap, HashSet};
use std::io::Error;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use super::super::pidfd::{self, Opened};
use super::super::stat::Stat;
use super::link::{Link, Received};
use super::wire::{End, Failure, Order, Report};
use super::{family, spawn};
use crate::sample::{How, Process};

/// How often orphans are looked for; everything else wakes us.
const TICK: Duration = Duration::from_millis(100);
/// How often we look while the family is being ended.
const SHORT_TICK: Duration = Duration::from_millis(5);
/// What survivors of a target that ended by itself get between SIGTERM and SIGKILL.
const AFTERMATH: Duration = Duration::from_secs(1);
/// How long we try to end processes that we may not signal.
const DENIED_FOR: Duration = Duration::from_secs(2);
/// Most survivors that are named.
const MOST_SURVIVORS: usize = 32;

/// A launched process that ends well within this time and leaves descendants has put itself into the background.
const BACKGROUND_WITHIN: Duration = Duration::from_secs(10);
/// The processes in the background are known when they have been the same for so long: a daemon forks twice.
const BACKGROUND_SETTLED: Duration = Duration::from_millis(200);

/// Runs a guardian for tidewatch, which is `parent`, to the end of everything that it started.
pub(super) fn run(parent: Process) -> Result<(), Error> {
    let mut link = Link::take_stdout()?;
    let settled = settle();
    let Some(parent) = watch_parent(parent)? else { return Ok(()) };
    let Received::Order(Order::Start(start)) = link.wait() else { return Ok(()) };
    if let Err(error) = settled {
        link.tell(&Report::Failed(Failure::Guardian(error.to_string())));
        return Err(error);
    }
    match spawn::spawn(&start) {
        Ok(target) => {
            let follow = start.follow;
            drop(start);
            link.tell(&Report::Started(target));
            Keeper::new(link, parent, target, follow).keep();
        }
        Err(failure) => {
            link.tell(&Report::Failed(failure));
            // A target that started before something failed does not stay.
            kill_all_children();
        }
    }
    Ok(())
}

/// A session of our own, out of reach of the terminal's signals; orphans come to us.
pub(super) fn settle() -> Result<(), Error> {
    reset_signals();
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGPIPE] {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // Fails only for the leader of a process group, which then is as far from the terminal's as it can be.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"tidewatch-guard");
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Every signal back to its default, none blocked: what ignoring parents (nohup, us) left is not passed on.
/// Async-signal-safe.
pub(super) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: the default disposition installs no handler; numbers that cannot be set are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set is filled by sigemptyset before it is read.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// A descriptor of tidewatch; `None` when it is gone already. The inner one is `None` where the kernel has
/// no pidfds: then the end of the socket has to do.
pub(super) fn watch_parent(parent: Process) -> Result<Option<Option<OwnedFd>>, Error> {
    let is_parent = || rustix::process::getppid().is_some_and(|pid| pid.as_raw_pid() as u32 == parent.pid);
    let opened = pidfd::open(parent)?;
    // Asked after opening: while it is our parent, its pid is its own.
    if !is_parent() {
        return Ok(None);
    }
    Ok(match opened {
        Opened::Open(fd) => Some(Some(fd)),
        Opened::Gone => None,
        Opened::Unavailable => Some(None),
    })
}

fn kill_all_children() {
    for stat in family::living() {
        let _ = family::signal(process_of(&stat), Signal::KILL);
    }
    family::collect_all();
}

fn process_of(stat: &Stat) -> Process {
    Process { pid: stat.pid, start: stat.start }
}

struct Keeper {
    link: Link,
    parent: Option<OwnedFd>,
    target: Process,
    target_fd: Option<OwnedFd>,
    orphans: HashMap<u32, Process>,
    /// Tidewatch is gone.
    gone: bool,
    /// Tidewatch asked for the end: when SIGKILL is due.
    stop: Option<Instant>,
    /// We signalled the target.
    signalled: bool,
    /// The process that was launched ended and was collected.
    collected: bool,
    /// Whether a program that puts itself into the background is still the target.
    follow: bool,
    launched: Instant,
    /// The launched process ended, and its descendants are the target.
    background: Option<Background>,
}

/// A target in the background.
struct Background {
    /// How the last of its processes to end so far did.
    last: family::Collected,
    /// Our living children, and since when they are these.
    roots: Vec<Process>,
    since: Instant,
    /// Whether tidewatch knows them.
    told: bool,
}

impl Keeper {
    fn new(link: Link, parent: Option<OwnedFd>, target: Process, follow: bool) -> Self {
        let target_fd = match pidfd::open(target) {
            Ok(Opened::Open(fd)) => Some(fd),
            _ => None,
        };
        Self {
            link,
            parent,
            target,
            target_fd,
            orphans: HashMap::new(),
            gone: false,
            stop: None,
            signalled: false,
            collected: false,
            follow,
            launched: Instant::now(),
            background: None,
        }
    }

    fn keep(mut self) {
        while !self.gone && self.stop.is_none() && !self.is_over() {
            self.look(TICK);
        }
        let kill_at = self.stop.unwrap_or_else(|| Instant::now() + AFTERMATH);
        self.ask_to_end(kill_at);
        self.kill();
    }

    fn is_over(&self) -> bool {
        self.collected && self.background.is_none()
    }

    /// Waits until something happens or the time is over, and takes notice of everything.
    fn look(&mut self, at_most: Duration) {
        self.wait(at_most);
        if !self.collected
            && let Some(end) = family::collect_with_usage(self.target.pid)
        {
            self.collected = true;
            self.target_fd = None;
            if self.goes_into_background(&end) {
                let (roots, since) = (Vec::new(), Instant::now());
                self.background = Some(Background { last: end, roots, since, told: false });
            } else {
                self.report_end(end);
            }
        }
        self.look_for_orphans();
        self.look_into_background();
    }

    fn goes_into_background(&self, end: &family::Collected) -> bool {
        self.follow
            && !self.gone
            && self.stop.is_none()
            && pidfd::from_wait_status(end.status).0 == How::Exited(0)
            && self.launched.elapsed() < BACKGROUND_WITHIN
            && !family::children().is_empty()
    }

    /// Tells who is in the background once that has settled, and that it is over when nobody is left.
    fn look_into_background(&mut self) {
        let Some(background) = &mut self.background else { return };
        let children = family::children();
        if children.is_empty() {
            let last = background.last;
            self.background = None;
            return self.report_end(last);
        }
        if background.told {
            return;
        }
        let living = children.into_iter().filter_map(|pid| Stat::read(Path::new("/proc"), pid).ok());
        let living: Vec<Stat> = living.filter(|stat| !stat.is_over()).collect();
        let roots: Vec<Process> = living.iter().map(process_of).collect();
        if roots != background.roots {
            (background.roots, background.since) = (roots, Instant::now());
        } else if !roots.is_empty() && background.since.elapsed() >= BACKGROUND_SETTLED {
            background.told = true;
            let named = living.iter().map(|stat| (process_of(stat), stat.comm.clone())).collect();
            self.link.tell(&Report::Background(named));
        }
    }

    fn wait(&mut self, at_most: Duration) {
        let timeout = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: i64::from(at_most.subsec_nanos()) };
        let (from_tidewatch, parent_ended) = {
            // Nobody is polled who has nothing more to say: an ended one would wake us for ever.
            let mut fds = Vec::with_capacity(3);
            let parent = self.parent.as_ref().filter(|_| !self.gone);
            fds.extend(parent.map(|fd| PollFd::new(fd, PollFlags::IN)));
            let target = self.target_fd.as_ref();
            fds.extend(target.map(|fd| PollFd::new(fd, PollFlags::IN)));
            let link = self.link.as_fd();
            if !self.gone {
                fds.push(PollFd::new(&link, PollFlags::IN));
            }
            if poll(&mut fds, Some(&timeout)).is_err() {
                return;
            }
            let happened = |fd: Option<&PollFd<'_>>| fd.is_some_and(|fd| !fd.revents().is_empty());
            (!self.gone && happened(fds.last()), parent.is_some() && happened(fds.first()))
        };
        if from_tidewatch {
            self.listen();
        }
        self.gone |= parent_ended;
    }

    fn listen(&mut self) {
        match self.link.receive() {
            Received::Order(Order::Stop { grace_ms }) => {
                // A second request may shorten the grace, never lengthen it.
                let at = Instant::now() + Duration::from_millis(grace_ms.min(3_600_000));
                self.stop = Some(self.stop.map_or(at, |before| before.min(at)));
            }
            Received::Order(Order::Start(_)) | Received::Nothing => {}
            Received::Closed => self.gone = true,
        }
    }

    fn report_end(&mut self, end: family::Collected) {
        let (how, core_dumped) = pidfd::from_wait_status(end.status);
        let survivors =
            family::living().iter().take(MOST_SURVIVORS).map(|stat| (process_of(stat), stat.comm.clone())).collect();
        self.link.tell(&Report::Ended(End {
            how,
            core_dumped,
            asked: self.signalled,
            cpu_us: end.cpu_us,
            peak_rss: end.peak_rss,
            survivors,
        }));
    }

    /// Children of ours other than the target lost their parent. Each is told once; when it has ended it is
    /// collected, as init would do, by its own pid.
    fn look_for_orphans(&mut self) {
        for pid in family::children() {
            if pid == self.target.pid && !self.collected || self.orphans.contains_key(&pid) {
                continue;
            }
            let Ok(stat) = Stat::read(Path::new("/proc"), pid) else { continue };
            let process = process_of(&stat);
            self.orphans.insert(pid, process);
            self.link.tell(&Report::Orphan { process, command: stat.comm.clone(), over: stat.is_over() });
        }
        let ended: Vec<_> = self
            .orphans
            .values()
            .filter_map(|orphan| Some((*orphan, family::collect_with_usage(orphan.pid)?)))
            .collect();
        for (orphan, end) in ended {
            if let Some(background) = &mut self.background {
                background.last = end;
            }
            self.orphans.remove(&orphan.pid);
            self.link.tell(&Report::OrphanEnded(orphan));
        }
    }

    /// SIGTERM to everyone, once each, until nobody lives or `kill_at`, or tidewatch is gone.
    fn ask_to_end(&mut self, kill_at: Instant) {
        let mut asked = HashSet::new();
        let mut group = (!self.collected).then_some(self.target);
        loop {
            let kill_at = self.stop.map_or(kill_at, |stop| stop.min(kill_at));
            if self.gone || Instant::now() >= kill_at {
                return;
            }
            // Listed first: who is in the group now gets the group's signal, and none of his own.
            let living = family::living();
            if living.is_empty() {
                return;
            }
            self.signalled |= self.background.is_some();
            let whole_group = group.take();
            if let Some(leader) = whole_group {
                self.signalled = true;
                family::signal_group(leader, Signal::TERM);
                // A stopped process does not end before it goes on.
                family::signal_group(leader, Signal::CONT);
            }
            for stat in &living {
                let reached = whole_group.is_some_and(|leader| stat.group == leader.pid);
                if asked.insert(process_of(stat)) && !reached {
                    family::ask_to_end(process_of(stat));
                }
            }
            self.look(SHORT_TICK);
        }
    }

    /// SIGKILL to everyone, again and again, until no child is left.
    fn kill(&mut self) {
        let mut pause = Duration::from_millis(1);
        let mut denied_since: Option<Instant> = None;
        loop {
            let living = family::living();
            self.signalled |= !self.is_over() && !living.is_empty();
            let denied: Vec<Process> = living
                .iter()
                .map(process_of)
                .filter(|process| family::signal(*process, Signal::KILL).is_err())
                .collect();
            self.look(pause);
            if self.is_over() && !family::collect_all() {
                return;
            }
            if !denied.is_empty() && denied.len() == living.len() {
                let since = *denied_since.get_or_insert_with(Instant::now);
                if since.elapsed() > DENIED_FOR {
                    self.link.tell(&Report::LeftBehind(denied));
                    return;
                }
            } else {
                denied_since = None;
            }
            pause = (pause * 2).min(TICK);
        }
    }
}
