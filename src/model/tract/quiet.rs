//! Turns a panic inside tract into an error. tract asserts what it expects of a model, and a graph may be a stranger's.

use crate::error::ErrorKind;

/// Runs `f`. A panic becomes an error and prints nothing. In WASM a panic is a trap; the page starts the module again
/// after it.
#[cfg(target_arch = "wasm32")]
pub fn caught<T>(f: impl FnOnce() -> Result<T, ErrorKind>) -> Result<T, ErrorKind> {
    f()
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::caught;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::Cell;
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::Once;

    use super::*;

    thread_local! {
        /// Whether this thread is in [`caught`].
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs `f`. A panic becomes an error with its message and prints nothing.
    pub fn caught<T>(f: impl FnOnce() -> Result<T, ErrorKind>) -> Result<T, ErrorKind> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !QUIET.get() {
                    before(info)
                }
            }));
        });
        let was = QUIET.replace(true);
        let result = panic::catch_unwind(AssertUnwindSafe(f));
        QUIET.set(was);
        result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(ErrorKind::Model(format!("tract stopped: {}", text.unwrap_or("it gave no reason"))))
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_panic_is_an_error_with_its_message() {
            let error = caught::<()>(|| panic!("{} is odd", 3)).unwrap_err();
            assert_eq!(error, ErrorKind::Model("tract stopped: 3 is odd".into()));
            assert_eq!(caught(|| Ok(1)), Ok(1));
        }
    }
}
