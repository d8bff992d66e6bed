//! Threads for guests, and calling them from async code.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::{CancelToken, Invocation, Program, Report, Trap};

/// Native stack of a guest thread. Guest code has 512 KiB of it; host functions run on top of that.
const STACK_BYTES: usize = 8 << 20;
/// How much longer than its wall time a call may take to come back.
const GRACE: Duration = Duration::from_secs(2);

/// A bounded pool of operating-system threads that run guests, so that no guest, however stuck,
/// holds a thread of the async runtime.
pub struct GuestThreads(Arc<Pool>);

struct Pool {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
    started: usize,
}

struct Job {
    program: Program,
    invocation: Invocation,
    begun: oneshot::Sender<()>,
    done: oneshot::Sender<Report>,
    /// Set when the caller gave up on it; its thread was replaced and ends after it.
    abandoned: Arc<AtomicBool>,
}

/// Cancels one call when its caller stops waiting.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl GuestThreads {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// If the operating system has no thread for us.
    pub fn new(count: usize) -> std::io::Result<Self> {
        let pool = Arc::new(Pool { queue: Mutex::default(), wake: Condvar::new() });
        for _ in 0..count.max(1) {
            Pool::start(&pool)?;
        }
        Ok(Self(pool))
    }

    /// Starts one thread for each core.
    ///
    /// # Errors
    /// If the operating system has no thread for us.
    pub fn per_core() -> std::io::Result<Self> {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Calls `program` on a guest thread, when one is free; the wall time counts from then on.
    /// Needs a tokio runtime with time. Dropping the future cancels the call.
    pub async fn run(&self, program: Program, mut invocation: Invocation) -> Report {
        let patience = Duration::from_millis(invocation.limits.wall_ms).saturating_add(GRACE);
        // A token of this call's own: the caller's may be shared with other calls.
        invocation.cancel = invocation.cancel.child();
        let cancel = CancelOnDrop(invocation.cancel.clone());
        let abandoned = Arc::new(AtomicBool::new(false));
        let (begun, has_begun) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        self.0.push(Job { program, invocation, begun, done, abandoned: Arc::clone(&abandoned) });
        if has_begun.await.is_err() {
            return Report::early(Trap::Host);
        }
        match tokio::time::timeout(patience, is_done).await {
            Ok(Ok(report)) => report,
            Ok(Err(_)) => Report::early(Trap::Host),
            Err(_) => {
                drop(cancel);
                abandoned.store(true, Ordering::Release);
                // Without a replacement the pool has one thread less, until the stuck one comes back.
                if Pool::start(&self.0).is_err() {
                    abandoned.store(false, Ordering::Release);
                }
                Report::early(Trap::Deadline)
            }
        }
    }
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.wake.notify_all();
    }
}

impl Pool {
    fn start(pool: &Arc<Self>) -> std::io::Result<()> {
        let number = {
            let mut queue = pool.lock();
            queue.started += 1;
            queue.started
        };
        let mine = Arc::clone(pool);
        let thread = std::thread::Builder::new().name(format!("guest-{number}")).stack_size(STACK_BYTES);
        thread.spawn(move || mine.work()).map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) {
        self.lock().jobs.push_back(job);
        self.wake.notify_one();
    }

    /// The next job; none when the pool is closed.
    fn next(&self) -> Option<Job> {
        let waiting = |queue: &mut Queue| queue.jobs.is_empty() && !queue.closed;
        let queue = self.wake.wait_while(self.lock(), waiting);
        queue.unwrap_or_else(PoisonError::into_inner).jobs.pop_front()
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            let Job { program, invocation, begun, done, abandoned } = job;
            // Nobody waits any more.
            if begun.send(()).is_err() {
                continue;
            }
            // A panic in wasmtime costs this call, not the thread.
            let report = catch_unwind(AssertUnwindSafe(|| program.invoke(invocation)));
            let _caller_gone = done.send(report.unwrap_or_else(|_| Report::early(Trap::Host)));
            if abandoned.load(Ordering::Acquire) {
                return;
            }
        }
    }
}
