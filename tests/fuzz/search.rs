//! Runs one target under libFuzzer, which is guided by coverage: `make fuzz`.
//!
//! `FUZZ_TARGET` names the target; without it the names of all targets are printed. The arguments are libFuzzer's.
#![no_main]

use std::ffi::c_uint;
use std::sync::{Mutex, OnceLock, PoisonError};

use foretaste_fuzz::limits::Counting;
use foretaste_fuzz::random::Random;
use foretaste_fuzz::{TARGETS, Target, checkout, mutate};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Inputs that were accepted, from which parts are taken.
static ACCEPTED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
/// How many of them are kept.
const KEPT: usize = 64;

fn target() -> &'static Target {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        Target::named(&name).unwrap_or_else(|| panic!("FUZZ_TARGET: no target `{name}`"))
    })
}

/// libFuzzer calls it first. The seeds are written to the folder of the inputs, which libFuzzer reads next.
#[unsafe(no_mangle)]
extern "C" fn LLVMFuzzerInitialize(_: *const i32, _: *const *const *const u8) -> i32 {
    if std::env::var_os("FUZZ_TARGET").is_none() {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        std::process::exit(0);
    }
    let folder = checkout().join("target/fuzz/corpus").join(target().name);
    std::fs::create_dir_all(&folder).expect("the folder of inputs");
    for (path, input) in target().inputs() {
        std::fs::write(folder.join(path.file_name().expect("a name")), input).expect("a seed");
    }
    0
}

/// Runs one input. libFuzzer's wrapper ends the process after a panic, and libFuzzer writes the input.
#[unsafe(no_mangle)]
#[allow(improper_ctypes_definitions)] // Both sides are Rust.
extern "C" fn rust_fuzzer_test_input(input: &[u8]) -> i32 {
    if target().case(input) {
        let mut accepted = ACCEPTED.lock().unwrap_or_else(PoisonError::into_inner);
        if accepted.len() == KEPT {
            accepted.remove(0);
        }
        accepted.push(input.to_vec());
    }
    0
}

/// Changes an input: half of the time as the target says, else as libFuzzer does.
///
/// # Safety
/// `data` has room for `most` bytes and holds `size` of them, as libFuzzer promises.
#[unsafe(no_mangle)]
unsafe extern "C" fn LLVMFuzzerCustomMutator(data: *mut u8, size: usize, most: usize, seed: c_uint) -> usize {
    // SAFETY: see above.
    let data = unsafe { std::slice::from_raw_parts_mut(data, most.max(size)) };
    let mut random = Random::new(u64::from(seed));
    if random.below(2) == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, most);
    }
    let mut input = data[..size].to_vec();
    let accepted = ACCEPTED.lock().unwrap_or_else(PoisonError::into_inner);
    let other = if accepted.is_empty() { &input.clone() } else { random.pick(&accepted) };
    (target().mutate)(&mut input, other, &mut random);
    input.truncate(most.min(mutate::MAX_BYTES));
    data[..input.len()].copy_from_slice(&input);
    input.len()
}
