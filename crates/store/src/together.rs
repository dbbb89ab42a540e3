//! What is done for many at once: those who ask while others are served are served together after them.
//!
//! A transaction costs a server several waits for the network, and a file a thread that is woken and its locks. Alone, each
//! pays for that; at once, they share it. Nobody waits in order to be joined by others: as long as there is a task that
//! is free, it begins at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use patron_core::{Error, Result};
use tokio::sync::oneshot;

use crate::patience::Patience;

/// How much is done together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// What an error says of it.
    pub(crate) name: &'static str,
    /// For how many at once: the first of them waits for the last.
    pub(crate) at_once: usize,
    /// By how many tasks: while one waits, another goes on.
    pub(crate) tasks: usize,
}

/// Those who have asked. Each is given the answer that [`Together::ask`] finds for it.
pub(crate) struct Together<Q, A> {
    bounds: Bounds,
    patience: Duration,
    queue: Mutex<Queue<Q, A>>,
}

struct Queue<Q, A> {
    /// In the order in which they came, which is that of their numbers.
    waiting: VecDeque<Waiting<Q, A>>,
    /// How many have come.
    came: u64,
    /// How many tasks there are.
    tasks: usize,
}

struct Waiting<Q, A> {
    number: u64,
    question: Q,
    tell: oneshot::Sender<A>,
}

impl<Q: Send + 'static, A: Send + 'static> Together<Q, A> {
    /// Where nobody waits for longer than `patience` until a task takes it up.
    pub(crate) fn new(bounds: Bounds, patience: Duration) -> Self {
        Self { bounds, patience, queue: Mutex::new(Queue { waiting: VecDeque::new(), came: 0, tasks: 0 }) }
    }

    /// Asks, and is answered by `serve`, this one's or another's that is at work already: it answers all the questions
    /// that it is given, in their order. What it reads is as it was when they were asked, or newer. Whoever is not waited
    /// for any more, before it is taken up, is left out.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no task takes it up in time, and when the one that has is no more.
    pub(crate) async fn ask<F, S>(self: &Arc<Self>, question: Q, serve: F) -> Result<A>
    where
        F: Fn(Vec<Q>) -> S + Send + 'static,
        S: Future<Output = Vec<A>> + Send,
    {
        let (tell, mut told) = oneshot::channel();
        let (number, is_served) = {
            let mut queue = self.queue();
            let number = queue.came;
            queue.came += 1;
            queue.waiting.push_back(Waiting { number, question, tell });
            let is_served = queue.tasks >= self.bounds.tasks;
            queue.tasks += usize::from(!is_served);
            (number, is_served)
        };
        if !is_served {
            // A task of its own: a caller that hangs up leaves nobody waiting.
            let mut serving = Serving { together: Arc::clone(self), is_over: false };
            tokio::spawn(async move {
                while let Some((questions, told)) = serving.next() {
                    for (tell, answer) in told.into_iter().zip(serve(questions).await) {
                        // Who has hung up meanwhile wants no answer.
                        let _ = tell.send(answer);
                    }
                }
            });
        }
        let name = self.bounds.name;
        let answer = match Patience::new(self.patience).wait(&mut told).await {
            Some(answer) => answer,
            None if self.is_left(number, &mut told) => {
                return Err(Error::unavailable(format!("{name}: too many waited for the database")));
            }
            // What has come of it is known soon, and is to be told.
            None => told.await,
        };
        answer.map_err(|_| Error::unavailable(format!("{name}: the service is stopping")))
    }

    /// Whether no task has taken it up, which none will then.
    fn is_left(&self, number: u64, told: &mut oneshot::Receiver<A>) -> bool {
        let queue = self.queue();
        let is_left = queue.waiting.front().is_some_and(|first| first.number <= number);
        if is_left {
            told.close();
        }
        is_left
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Q, A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers of so many where what was done for all of them has failed.
pub(crate) fn lost<T>(many: usize, error: &Error) -> Vec<Result<T>> {
    let lost = || match error {
        Error::Unavailable { cause } => Error::unavailable(cause),
        other => Error::internal(other.cause().unwrap_or("what is done together is not refused")),
    };
    (0..many).map(|_| Err(lost())).collect()
}

/// A task that serves.
struct Serving<Q: Send + 'static, A: Send + 'static> {
    together: Arc<Together<Q, A>>,
    /// Whether it has found that nobody waits.
    is_over: bool,
}

impl<Q: Send + 'static, A: Send + 'static> Serving<Q, A> {
    /// Those who are served next, of whom somebody still waits for. When there are none, the task is over: whoever asks
    /// from then on begins another one.
    fn next(&mut self) -> Option<(Vec<Q>, Vec<oneshot::Sender<A>>)> {
        let mut queue = self.together.queue();
        let (mut questions, mut told) = (Vec::new(), Vec::new());
        while questions.len() < self.together.bounds.at_once
            && let Some(Waiting { question, tell, .. }) = queue.waiting.pop_front()
        {
            if !tell.is_closed() {
                questions.push(question);
                told.push(tell);
            }
        }
        if questions.is_empty() {
            queue.tasks -= 1;
            self.is_over = true;
            return None;
        }
        Some((questions, told))
    }
}

impl<Q: Send + 'static, A: Send + 'static> Drop for Serving<Q, A> {
    /// One that is not over has panicked, or the service is stopping: nobody may be left waiting.
    fn drop(&mut self) {
        if !self.is_over {
            let mut queue = self.together.queue();
            queue.tasks -= 1;
            if queue.tasks == 0 {
                queue.waiting.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    fn together(at_once: usize, tasks: usize) -> Arc<Together<usize, (usize, usize)>> {
        Arc::new(Together::new(Bounds { name: "test", at_once, tasks }, Duration::from_secs(5)))
    }

    #[tokio::test]
    async fn those_who_wait_are_served_together_and_each_with_its_own_answer() {
        let together = together(8, 2);
        let (turns, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let ask = |question| {
            let (turns, gate) = (Arc::clone(&turns), Arc::clone(&gate));
            together.ask(question, move |questions| {
                let (turn, gate) = (turns.fetch_add(1, Ordering::Relaxed), Arc::clone(&gate));
                async move {
                    gate.acquire().await.unwrap().forget();
                    questions.into_iter().map(|question| (question, turn)).collect()
                }
            })
        };
        let opened = async {
            // All have asked when this is reached.
            gate.add_permits(20);
        };
        let (answers, ()) = tokio::join!(join_all((0..20).map(ask)), opened);
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert!(answers.iter().map(|(question, _)| *question).eq(0..20));
        // Two tasks, which found all of them there: eight, eight and four.
        assert_eq!(turns.load(Ordering::Relaxed), 3);
        assert!(answers.iter().map(|(_, turn)| *turn).eq((0..20).map(|question| question / 8)));
        // And a task for who comes after all are gone.
        assert_eq!(ask(7).await.unwrap(), (7, 3));
    }

    #[tokio::test]
    async fn who_hangs_up_is_left_out_and_leaves_nobody_waiting() {
        let together = together(8, 1);
        let ask = |question| {
            together.ask(question, |questions| async {
                let many = questions.len();
                questions.into_iter().map(|question| (question, many)).collect::<Vec<_>>()
            })
        };
        tokio::select! {
            biased;
            _ = ask(1) => panic!("it was answered at once"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(ask(2).await.unwrap(), (2, 1), "alone");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_taken_up_in_time_is_told_so_and_who_is_waits_for_its_answer() {
        let together = together(1, 1);
        let gate = Arc::new(Semaphore::new(0));
        let ask = |question| {
            let gate = Arc::clone(&gate);
            together.ask(question, move |questions| {
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await.unwrap().forget();
                    questions.into_iter().map(|question| (question, 0)).collect()
                }
            })
        };
        let late = async {
            let late = ask(2).await;
            // As long as it takes until the one before would have been given up as well.
            tokio::time::sleep(Duration::from_mins(1)).await;
            gate.add_permits(2);
            late
        };
        let (served, late) = tokio::join!(ask(1), late);
        assert_eq!(served.unwrap(), (1, 0));
        assert!(matches!(late, Err(Error::Unavailable { .. })), "{late:?}");
        assert_eq!(ask(3).await.unwrap(), (3, 0));
        assert_eq!(gate.available_permits(), 0, "the late one was not served");
    }

    #[tokio::test]
    async fn a_panic_leaves_nobody_waiting() {
        let together = together(1, 1);
        let ask = |question| {
            together.ask(question, |questions| async move {
                assert!(questions[0] != 0, "as the test wants it");
                vec![(questions[0], 0)]
            })
        };
        let outcomes = join_all([0, 1].map(ask)).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Unavailable { .. }))));
        assert_eq!(ask(2).await.unwrap(), (2, 0));
    }
}
