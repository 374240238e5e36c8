//! Replays the kept inputs of every target and mutates them for some seconds.
//!
//! Every target runs in a process of its own, so that a fault which ends it (too much memory, too deep a recursion, an
//! endless loop) is told with its input like any other. A new fault's input is written to `crashers/NAME`: mend the
//! fault and commit the input, and it is replayed for ever.
//!
//! Arguments: names of targets, or `NAME=FILE` to run one input; `--each`: the seconds are for each target.
//! Environment: `FUZZ_SECONDS`, for all targets together (30), `FUZZ_SEED` (1).

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use foretaste_fuzz::limits::Counting;
use foretaste_fuzz::mutate::MAX_BYTES;
use foretaste_fuzz::random::Random;
use foretaste_fuzz::{TARGETS, Target, here};
use memmap2::MmapMut;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// After this long without a new case the process is ended.
const STUCK: Duration = Duration::from_secs(30);
/// Inputs that are kept for further changes, beside the seeds.
const POOL: usize = 512;
/// Bytes of an input in the mapped file.
const ROOM: usize = 1 << 20;

fn main() -> ExitCode {
    let (options, arguments): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with('-'));
    if let [child, name, seconds] = &arguments[..]
        && child == "child"
    {
        return run(Target::named(name).expect("a target"), seconds.parse().expect("seconds"));
    }
    if let Some((name, file)) = arguments.first().and_then(|argument| argument.split_once('=')) {
        let target = Target::named(name).unwrap_or_else(|| panic!("no target `{name}`"));
        println!("{name}: accepted: {}", target.case(&fs::read(file).expect("an input")));
        return ExitCode::SUCCESS;
    }
    let targets: Vec<&Target> =
        TARGETS.iter().filter(|target| arguments.is_empty() || arguments.iter().any(|name| name == target.name)).collect();
    let share = if options.iter().any(|option| option == "--each") { 1 } else { targets.len().max(1) };
    let seconds = number("FUZZ_SECONDS", 30.0) / share as f64;
    println!("\nrunning {} fuzz targets, {seconds:.1} s each", targets.len());
    let failed = targets.iter().filter(|target| !watch(target, seconds)).count();
    println!("{} passed, {failed} failed", targets.len() - failed);
    if failed == 0 && !targets.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn number(name: &str, usual: f64) -> f64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}: expected a number, got {text}")))
}

/// A file of a target's run, in the target folder.
fn scratch(target: &Target, ending: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}.{ending}", target.name))
}

// ---- the process that watches

/// Runs a target in a process of its own; tells whether no fault was found.
fn watch(target: &Target, seconds: f64) -> bool {
    let log = scratch(target, "log");
    let current = Current::create(target);
    let executable = std::env::current_exe().expect("this program");
    let child = Command::new(executable)
        .args(["child", target.name, &seconds.to_string()])
        .stdin(Stdio::null())
        .stderr(File::create(&log).expect("the log"))
        .spawn();
    let fault = wait(child.expect("the process"), &current);
    let Some(fault) = fault else { return true };
    let input = current.input();
    let name = foretaste::bundle::sha256_hex(input);
    let kept = here().join("crashers").join(target.name).join(&name[..16]);
    fs::create_dir_all(kept.parent().expect("a folder")).expect("the folder of crashers");
    fs::write(&kept, input).expect("the input");
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    println!("{}: FAULT: {fault}", target.name);
    lines[lines.len().saturating_sub(12)..].iter().for_each(|line| println!("    {line}"));
    let again = format!("cargo test --release -p foretaste-fuzz -- {}={}", target.name, kept.display());
    println!("    the input ({} bytes): {}\n    to repeat it: {again}", input.len(), kept.display());
    false
}

/// Waits for the end of the process and says how it failed.
fn wait(mut child: Child, current: &Current) -> Option<String> {
    let (mut cases, mut since) = (0, Instant::now());
    loop {
        if let Some(status) = child.try_wait().expect("the process") {
            return (!status.success()).then(|| status.to_string());
        }
        if current.cases() != cases {
            (cases, since) = (current.cases(), Instant::now());
        } else if since.elapsed() > STUCK {
            _ = child.kill();
            _ = child.wait();
            return Some(format!("a case did not end within {} s", STUCK.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

// ---- the process that runs a target

/// Replays and mutates the inputs of a target.
fn run(target: &Target, seconds: f64) -> ExitCode {
    let start = Instant::now();
    let mut current = Current::open(target);
    let mut inputs: Vec<Vec<u8>> = target.inputs().into_iter().map(|(_, input)| input).collect();
    assert!(!inputs.is_empty(), "{}: no seeds", target.name);
    let mut accepted = inputs.iter().filter(|input| case(target, &mut current, input)).count();
    assert!(accepted > 0, "{}: no seed is accepted", target.name);
    let (seeds, seed) = (inputs.len(), number("FUZZ_SEED", 1.0) as u64);
    let mut random = Random::new(seed);
    while start.elapsed().as_secs_f64() < seconds {
        // Half of them come from the seeds, because inputs that were accepted drift to empty ones.
        let among = if random.below(2) == 0 { seeds } else { inputs.len() };
        let mut input = random.pick(&inputs[..among]).clone();
        let other = random.below(inputs.len());
        (target.mutate)(&mut input, &inputs[other], &mut random);
        input.truncate(MAX_BYTES);
        // What is accepted is near other inputs that are, so it is changed further.
        if case(target, &mut current, &input) {
            accepted += 1;
            if inputs.len() < seeds + POOL {
                inputs.push(input);
            } else {
                let place = seeds + random.below(POOL);
                inputs[place] = input;
            }
        }
    }
    let (cases, took) = (current.cases(), start.elapsed().as_secs_f64());
    println!("{}: {cases} cases, {accepted} accepted, {took:.1} s", target.name);
    ExitCode::SUCCESS
}

/// Runs one case. A fault ends the process; the input is in the mapped file. A long case is measured again before it
/// counts, because the machine may have been busy.
fn case(target: &Target, current: &mut Current, input: &[u8]) -> bool {
    current.set(input);
    let time = || {
        let start = Instant::now();
        let accepted = std::panic::catch_unwind(|| target.case(input)).unwrap_or_else(|_| std::process::exit(3));
        (accepted, start.elapsed())
    };
    let (accepted, first) = time();
    let most = Duration::from_secs(target.seconds);
    if first > most && time().1 > most {
        eprintln!("time: the case takes {:.1} s, more than {} s", first.as_secs_f64(), target.seconds);
        std::process::exit(4);
    }
    accepted
}

/// The number of cases and the input of the last one, in a file that both processes map.
struct Current(MmapMut);

impl Current {
    fn create(target: &Target) -> Current {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(scratch(target, "input"));
        let file = file.expect("the file of the input");
        file.set_len(16 + ROOM as u64).expect("room");
        Current::map(&file)
    }

    fn open(target: &Target) -> Current {
        let file = OpenOptions::new().read(true).write(true).open(scratch(target, "input"));
        Current::map(&file.expect("the file of the input"))
    }

    fn map(file: &File) -> Current {
        // SAFETY: only these two processes map the file, and the watching one reads the input when the other has ended.
        Current(unsafe { MmapMut::map_mut(file) }.expect("a mapped file"))
    }

    fn word(&self, at: usize) -> u64 {
        self.0[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn cases(&self) -> u64 {
        self.word(0)
    }

    fn input(&self) -> &[u8] {
        &self.0[16..][..(self.word(8) as usize).min(ROOM)]
    }

    fn set(&mut self, input: &[u8]) {
        let cases = self.cases() + 1;
        self.0[..8].copy_from_slice(&cases.to_le_bytes());
        self.0[8..16].copy_from_slice(&(input.len() as u64).to_le_bytes());
        let length = input.len().min(ROOM);
        self.0[16..][..length].copy_from_slice(&input[..length]);
    }
}
