//! A worker: does one operation after another, with connections and a session of its own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use super::ground::Ground;
use super::notes::Notes;
use super::work::{Begin, Operation, Task};
use crate::scenario::drivers::{Http, Message, Outcome, Patience, Reach, Session, Trouble, render, run_command};
use crate::scenario::template::{Template, Values};

/// How an operation went, as far as the pace is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// It reached the target.
    Through,
    /// Nobody was there: asking again at once would be a busy loop.
    Nowhere,
}

/// What an operation knows of itself.
#[derive(Debug)]
struct Scope {
    key: u64,
    session: u64,
    captured: BTreeMap<String, String>,
}

impl Scope {
    fn values<'a>(&'a self, ground: &'a Ground) -> Values<'a> {
        Values {
            fixed: &ground.fixed,
            key: self.key,
            session: self.session,
            seed: ground.seed,
            captured: &self.captured,
        }
    }
}

/// One worker.
#[derive(Debug)]
pub struct Worker {
    ground: Arc<Ground>,
    hands: Hands,
    notes: Arc<Mutex<Notes>>,
    /// The one session of a long-session scenario, with what its opening answered.
    long: Option<(Session, BTreeMap<String, String>)>,
}

/// What a worker works with.
#[derive(Debug, Default)]
struct Hands {
    http: Http,
    patience: Patience,
}

/// Counts an operation as under way for as long as it exists.
struct UnderWay<'a>(&'a Ground);

impl<'a> UnderWay<'a> {
    fn begin(ground: &'a Ground) -> Self {
        ground.counters.in_flight.fetch_add(1, Relaxed);
        Self(ground)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.counters.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Worker {
    /// A worker without connections.
    pub fn new(ground: &Arc<Ground>) -> Self {
        Self { ground: Arc::clone(ground), hands: Hands::default(), notes: ground.notebook(), long: None }
    }

    /// What it stands on.
    pub fn ground(&self) -> &Arc<Ground> {
        &self.ground
    }

    /// Does the next operation and counts it.
    pub async fn work(&mut self) -> Went {
        let Self { ground, hands, notes, long } = self;
        let number = ground.next_operation();
        let under_way = UnderWay::begin(ground);
        let key = ground.distinct.map_or(number, |distinct| number % distinct.max(1));
        let mut scope = Scope { key, session: key, captured: BTreeMap::new() };
        let result = match &ground.operation {
            Operation::Steps(steps) => hands.steps(ground, steps, None, &mut scope).await,
            Operation::Visit { begin, during, leave } => {
                let open = hands.begin(ground, begin, &mut scope).await;
                match open {
                    Ok((mut session, Outcome::Counts)) => {
                        let done = hands.steps(ground, during, Some(&mut session), &mut scope).await;
                        if let Some(remains) = session.leave(*leave).await {
                            ground.keep(remains);
                        }
                        done
                    }
                    Ok((_, uncounted)) => Ok(uncounted),
                    Err(trouble) => Err(trouble),
                }
            }
            Operation::Edit { begin, edit, .. } => {
                scope.session = 0;
                hands.edit(ground, begin, edit, long, &mut scope).await
            }
            Operation::None => return Went::Through,
        };
        drop(under_way);
        match result {
            Ok(Outcome::Counts) => {
                ground.counters.operations.fetch_add(1, Relaxed);
                Went::Through
            }
            Ok(Outcome::Uncounted(status)) => {
                ground.backpressure(notes, status);
                Went::Through
            }
            Err(trouble) => {
                let went = if trouble.reach == Reach::Nobody { Went::Nowhere } else { Went::Through };
                ground.trouble(notes, number, trouble);
                went
            }
        }
    }

    /// Does the step that comes before each settle phase; it is no operation.
    pub async fn before_settle(&mut self, step: &Task) {
        let Self { ground, hands, notes, .. } = self;
        let mut scope = Scope { key: 0, session: 0, captured: BTreeMap::new() };
        if let Err(mut trouble) = hands.step(ground, step, None, &mut scope).await {
            trouble.kind = format!("before settling: {}", trouble.kind).into();
            ground.trouble(notes, u64::MAX, trouble);
        }
    }

    /// Watches what is open while nothing is to be done, for as long as it is awaited.
    pub async fn mind(&mut self) -> Infallible {
        let Self { hands, long, .. } = self;
        match long {
            None => hands.http.mind().await,
            Some((session, _)) => tokio::select! {
                never = hands.http.mind() => never,
                never = session.drain() => never,
            },
        }
    }

    /// Closes every connection but that of a long session.
    pub fn close_idle(&mut self) {
        self.hands.http.close();
    }

    /// Ends a long session as the scenario says.
    pub async fn finish(mut self) {
        if let (Some((session, _)), Operation::Edit { close, .. }) = (self.long.take(), &self.ground.operation)
            && let Some(remains) = session.leave(*close).await
        {
            self.ground.keep(remains);
        }
    }
}

impl Hands {
    async fn steps(
        &mut self,
        ground: &Ground,
        steps: &[Task],
        mut session: Option<&mut Session>,
        scope: &mut Scope,
    ) -> Result<Outcome, Trouble> {
        for step in steps {
            match self.step(ground, step, session.as_deref_mut(), scope).await? {
                Outcome::Counts => {}
                // Refused for now: what would follow makes no sense.
                uncounted => return Ok(uncounted),
            }
        }
        Ok(Outcome::Counts)
    }

    async fn begin(
        &mut self,
        ground: &Ground,
        begin: &Begin,
        scope: &mut Scope,
    ) -> Result<(Session, Outcome), Trouble> {
        match begin {
            Begin::Step(step) => {
                let outcome = self.step(ground, step, None, scope).await?;
                Ok((Session::Loose, outcome))
            }
            Begin::Connect(opening) => {
                let session = Session::open(&ground.net, &mut self.patience, opening, &scope.values(ground)).await?;
                Ok((session, Outcome::Counts))
            }
        }
    }

    async fn edit(
        &mut self,
        ground: &Ground,
        begin: &Begin,
        edit: &Task,
        long: &mut Option<(Session, BTreeMap<String, String>)>,
        scope: &mut Scope,
    ) -> Result<Outcome, Trouble> {
        if let Some((session, _)) = long
            && session.is_over()
        {
            // The next edit opens another.
            *long = None;
            return Err(Trouble::closed("a session that stays open"));
        }
        if long.is_none() {
            let (session, outcome) = self.begin(ground, begin, scope).await?;
            if outcome != Outcome::Counts {
                return Ok(outcome);
            }
            *long = Some((session, scope.captured.clone()));
        }
        let Some((session, captured)) = long else { return Ok(Outcome::Counts) };
        scope.captured.clone_from(captured);
        let result = self.step(ground, edit, Some(session), scope).await;
        if result.is_err() && matches!(edit, Task::Send { .. }) {
            // Whose answer would come next is anybody's guess.
            *long = None;
        }
        result
    }

    async fn step(
        &mut self,
        ground: &Ground,
        step: &Task,
        session: Option<&mut Session>,
        scope: &mut Scope,
    ) -> Result<Outcome, Trouble> {
        let values = scope.values(ground);
        match step {
            Task::Http(prepared) => {
                let limit = prepared.within();
                let call = self.patience.within(limit, self.http.call(&ground.net, prepared, &values));
                let answer = match session {
                    None => call.await,
                    Some(session) => tokio::select! {
                        biased;
                        answer = call => answer,
                        never = session.drain() => match never {},
                    },
                };
                let (outcome, captured) = answer.unwrap_or_else(|| Err(Trouble::timeout(limit, "answer")))?;
                scope.captured.extend(captured);
                Ok(outcome)
            }
            Task::Send { text, until, within } => {
                let message = Message { text, until: until.as_ref(), within: *within };
                let mut none = Session::Loose;
                let session = session.unwrap_or(&mut none);
                session.send(ground.stdio.as_ref(), &mut self.patience, message, &values).await?;
                Ok(Outcome::Counts)
            }
            Task::Command { argv, expect, within } => {
                let argv: Vec<_> =
                    argv.iter().map(|word: &Template| render(word, &values)).collect::<Result<_, _>>()?;
                let run = self.patience.within(*within, run_command(&ground.commands, &argv, expect, &ground.cwd));
                run.await.unwrap_or_else(|| Err(Trouble::timeout(*within, "end of the program")))?;
                Ok(Outcome::Counts)
            }
        }
    }
}
