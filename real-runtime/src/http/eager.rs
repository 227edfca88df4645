//! A connection that goes on at once when it has woken itself.
//!
//! hyper wakes a connection from within when a body is asked for. To tokio that is a task that
//! yields: it goes to the end of the queue and another worker is woken to help, for nothing. Every
//! request with a body cost a system call and often a move to another core.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// So often a connection may go on before the others have their turn.
const TURNS_MAX: usize = 8;

/// What wakes the connection.
struct Bell {
    /// It rang.
    rang: AtomicBool,
    /// Its connection is being polled, and looks whether it rang.
    polled: AtomicBool,
    task: Mutex<Waker>,
}

impl Bell {
    fn ring(&self) {
        self.rang.store(true, Ordering::SeqCst);
        if !self.polled.load(Ordering::SeqCst) {
            self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

/// Polls `inner` again as long as it wakes itself meanwhile.
pub(super) struct Eager<F> {
    inner: Pin<Box<F>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<F: Future> Eager<F> {
    pub(super) fn new(inner: F) -> Self {
        let bell = Arc::new(Bell {
            rang: AtomicBool::new(false),
            polled: AtomicBool::new(false),
            task: Mutex::new(Waker::noop().clone()),
        });
        let waker = Waker::from(Arc::clone(&bell));
        Self { inner: Box::pin(inner), bell, waker }
    }
}

impl<F: Future> Future for Eager<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        this.bell.task.lock().unwrap_or_else(PoisonError::into_inner).clone_from(cx.waker());
        for _ in 0..TURNS_MAX {
            this.bell.rang.store(false, Ordering::SeqCst);
            this.bell.polled.store(true, Ordering::SeqCst);
            let polled = this.inner.as_mut().poll(&mut Context::from_waker(&this.waker));
            // From here on whoever rings wakes the task; who rang before is seen below.
            this.bell.polled.store(false, Ordering::SeqCst);
            if polled.is_ready() {
                return polled;
            }
            if !this.bell.rang.load(Ordering::SeqCst) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    /// Counts how often a task is woken.
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn watched() -> (Arc<Woken>, Waker) {
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        (Arc::clone(&woken), Waker::from(woken))
    }

    #[test]
    fn what_wakes_itself_goes_on_and_nobody_is_woken() {
        let mut turns = 0;
        let mut eager = Eager::new(poll_fn(move |cx| {
            turns += 1;
            if turns == 3 {
                return Poll::Ready(turns);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        let (woken, waker) = watched();
        let polled = Pin::new(&mut eager).poll(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Ready(3));
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_wakes_itself_for_ever_lets_others_run() {
        let mut eager = Eager::new(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let (woken, waker) = watched();
        assert!(Pin::new(&mut eager).poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_is_woken_from_outside_wakes_the_task() {
        let kept = Arc::new(Mutex::new(None));
        let keeps = Arc::clone(&kept);
        let mut eager = Eager::new(poll_fn(move |cx| {
            *keeps.lock().unwrap() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        let (woken, waker) = watched();
        assert!(Pin::new(&mut eager).poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
        kept.lock().unwrap().take().unwrap().wake();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }
}
