//! What a case may take: memory counted by the allocator, and time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// Bytes that are allocated now.
static HELD: AtomicIsize = AtomicIsize::new(0);
/// Bytes that may be allocated at once.
static MOST: AtomicIsize = AtomicIsize::new(isize::MAX);

/// The allocator of the drivers. It ends the process with a message when a case asks for more than it may have, even if
/// the memory would never be touched: a parser may only ask for memory in proportion to the bytes that it was given.
pub struct Counting;

impl Counting {
    fn add(&self, bytes: usize) {
        let held = HELD.fetch_add(bytes as isize, Relaxed) + bytes as isize;
        if held > MOST.load(Relaxed) {
            allow(usize::MAX);
            eprintln!("memory: a request of {bytes} bytes goes over the limit of the target");
            std::process::abort();
        }
    }
}

// SAFETY: every call is passed on to the system's allocator as it is; only a counter is changed beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.add(size);
        HELD.fetch_sub(layout.size() as isize, Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Allows `bytes` more than are allocated now.
pub fn allow(bytes: usize) {
    let more = isize::try_from(bytes).unwrap_or(isize::MAX);
    MOST.store(HELD.load(Relaxed).saturating_add(more), Relaxed);
}
