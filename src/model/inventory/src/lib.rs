//! The interface of the crate `inventory` (its documentation, version 0.3) for tract, without what a tower never asks
//! for.
//!
//! tract registers its matrix kernels this way, and also model transforms and runtimes that would keep a second parser
//! and every operator in the WASM module: half of its bytes. Here what is submitted is made at start by a function, and
//! one for a type that is not kept is empty, so the linker drops all that it names.

use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// A type of which values can be submitted.
pub trait Collect: Sync + Sized + 'static {
    /// Whether values are kept.
    const KEPT: bool;
    /// The values so far.
    fn registry() -> &'static Registry<Self>;
}

/// A list of values that only grows.
pub struct Registry<T: 'static> {
    last: AtomicPtr<Node<T>>,
}

struct Node<T: 'static> {
    value: T,
    before: Option<&'static Node<T>>,
}

impl<T> Registry<T> {
    /// An empty list.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Registry { last: AtomicPtr::new(std::ptr::null_mut()) }
    }

    fn last(&self) -> Option<&'static Node<T>> {
        // SAFETY: null, or a node that `push` has leaked.
        unsafe { self.last.load(Ordering::Acquire).as_ref() }
    }

    /// Called by start-up code alone, one call after the other.
    fn push(&self, value: T) {
        let node = Box::leak(Box::new(Node { value, before: self.last() }));
        self.last.store(node, Ordering::Release);
    }
}

/// Keeps a value; `done` makes a second call do nothing, because a WASM module may run its start-up code more than
/// once.
#[doc(hidden)]
#[inline(always)]
pub fn submit_once<T: Collect>(done: &AtomicBool, value: fn() -> T) {
    if T::KEPT && !done.swap(true, Ordering::AcqRel) {
        T::registry().push(value());
    }
}

/// Whether a module's types are kept: those of the matrix kernels and of the settings.
#[doc(hidden)]
pub const fn kept(module: &str) -> bool {
    begins(module, "tract_linalg") || begins(module, "tract_data")
}

const fn begins(text: &str, start: &str) -> bool {
    let (text, start) = (text.as_bytes(), start.as_bytes());
    let mut i = 0;
    while i < start.len() {
        if i >= text.len() || text[i] != start[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// `collect!(Type)`: values of the type can be submitted.
#[macro_export]
macro_rules! collect {
    ($type:ty) => {
        impl $crate::Collect for $type {
            const KEPT: bool = $crate::kept(::core::module_path!());
            fn registry() -> &'static $crate::Registry<Self> {
                static REGISTRY: $crate::Registry<$type> = $crate::Registry::new();
                &REGISTRY
            }
        }
    };
}

/// `submit! { expression }`: the value is there before `main`.
#[macro_export]
macro_rules! submit {
    ($($value:tt)*) => {
        const _: () = {
            extern "C" fn start() {
                static DONE: ::std::sync::atomic::AtomicBool = ::std::sync::atomic::AtomicBool::new(false);
                $crate::submit_once(&DONE, || { $($value)* });
            }
            #[used]
            #[cfg_attr(any(target_os = "linux", target_os = "android", target_family = "wasm"), unsafe(link_section = ".init_array"))]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func,mod_init_funcs"))]
            #[cfg_attr(windows, unsafe(link_section = ".CRT$XCU"))]
            static START: extern "C" fn() = start;
        };
    };
}

/// An iterator over the values of a type.
pub struct Iter<T: 'static>(Option<&'static Node<T>>);

impl<T> Iterator for Iter<T> {
    type Item = &'static T;

    fn next(&mut self) -> Option<&'static T> {
        let node = self.0?;
        self.0 = node.before;
        Some(&node.value)
    }
}

/// `inventory::iter::<T>` is a value that can be iterated, and can be called for the iterator.
#[doc(hidden)]
#[allow(non_camel_case_types)]
pub enum iter<T> {
    iter,
    #[doc(hidden)]
    Never(std::marker::PhantomData<T>, std::convert::Infallible),
}

// The type of this name stands before the variant; as a value the name is the variant.
#[doc(hidden)]
pub use iter::*;

impl<T: Collect> IntoIterator for iter<T> {
    type Item = &'static T;
    type IntoIter = Iter<T>;

    fn into_iter(self) -> Iter<T> {
        Iter(T::registry().last())
    }
}

impl<T: Collect> std::ops::Deref for iter<T> {
    type Target = fn() -> Iter<T>;

    fn deref(&self) -> &Self::Target {
        fn all<T: Collect>() -> Iter<T> {
            Iter(T::registry().last())
        }
        &(all::<T> as fn() -> Iter<T>)
    }
}
