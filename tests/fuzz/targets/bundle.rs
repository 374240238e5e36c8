//! The files of a bundle. A file is put in place of the packaged bundle's, with its length and hash in the manifest put
//! right, so that the reader behind the hash is reached.

use std::sync::LazyLock;

use foretaste::bundle::{Bundle, FEATURES, FileEntry, Graphs, Manifest, NEIGHBOURS, sha256_hex};
use foretaste::features::{Fields, Value};
use foretaste::golden::Golden;
use foretaste::model::{Shapes, TractRuntime};
use foretaste::profile::Event;
use foretaste::{Error, Explore, Recommender, Request, Slate, VisitorState};

use super::text::one_line;
use crate::{checkout, here};

/// The packaged bundle, with neighbours.
struct Tiny {
    manifest: Manifest,
    /// The bytes of each file with its role.
    files: Vec<(String, Vec<u8>)>,
}

static TINY: LazyLock<Tiny> = LazyLock::new(|| {
    let folder = checkout().join("models/tiny");
    let read = |name: &str| std::fs::read(folder.join(name)).expect("a file of the packaged bundle");
    let mut manifest = Manifest::parse(&read("manifest.json")).expect("the packaged bundle");
    let mut files: Vec<_> = manifest.files.iter().map(|file| (file.role.clone(), read(&file.path))).collect();
    if manifest.neighbours.is_none() {
        let seed = |name: &str| std::fs::read(here().join("seeds").join(name)).expect("a seed");
        let other = Manifest::parse(&seed("manifest/neighbours.json")).expect("a manifest with neighbours");
        manifest.files.extend(other.files_of(NEIGHBOURS).cloned());
        (manifest.neighbours, manifest.features) = (other.neighbours, other.features);
        files.push((NEIGHBOURS.into(), seed("neighbours/sixty_items.safetensors")));
    }
    Tiny { manifest, files }
});

/// The bytes of the packaged bundle's file of a role.
fn packaged(role: &str) -> Option<&'static [u8]> {
    TINY.files.iter().find(|(of, _)| of == role).map(|(_, bytes)| bytes.as_slice())
}

/// The shapes of the packaged bundle's towers.
pub fn packaged_shapes() -> Shapes {
    TINY.manifest.shapes()
}

/// Opens the bundle of a manifest. Each file is the packaged one of its role, except that `role` has the bytes `input`;
/// lengths and hashes are put right.
fn open(mut manifest: Manifest, role: &str, input: &[u8]) -> foretaste::Result<(Bundle, Graphs)> {
    let bytes = |file: &FileEntry| if file.role == role { Some(input) } else { packaged(&file.role) };
    for file in &mut manifest.files {
        if let Some(bytes) = bytes(file) {
            (file.bytes, file.sha256) = (bytes.len() as u64, sha256_hex(bytes));
        }
    }
    let text = serde_json::to_vec(&manifest).expect("a manifest can be written");
    Bundle::from_files::<_, Error>(&text, |file| Ok(bytes(file)))
}

/// The packaged bundle with its towers, ready to recommend.
pub fn ready() -> Recommender {
    let (bundle, graphs) = open(TINY.manifest.clone(), "", &[]).expect("the packaged bundle");
    let runtime = TractRuntime::new(&graphs, bundle.manifest.shapes()).expect("the packaged towers");
    let mut recommender = Recommender::new(bundle, Box::new(|| 0.0));
    recommender.set_runtime(Box::new(runtime));
    recommender
}

/// `manifest.json`: read, written and read again as the same. If it fits the packaged files, the bundle is used.
pub fn manifest(input: &[u8]) -> bool {
    let manifest = match Manifest::parse(input) {
        Ok(manifest) => manifest,
        Err(error) => return refused(&error),
    };
    let text = serde_json::to_vec(&manifest).expect("a manifest can be written");
    assert_eq!(Manifest::parse(&text).as_ref(), Ok(&manifest), "a manifest is read again as it was");
    _ = (manifest.memory(), manifest.shapes());
    match open(manifest, "", &[]) {
        Ok((bundle, _)) => use_it(bundle),
        Err(error) => _ = refused(&error),
    }
    true
}

/// A catalog of the packaged bundle.
pub fn catalog(input: &[u8]) -> bool {
    used(open(TINY.manifest.clone(), "catalog", input))
}

/// An item file of the packaged bundle. If the length of the header is wrong, it is put right.
pub fn items(input: &[u8]) -> bool {
    used(open(TINY.manifest.clone(), "items", &with_length(input)))
}

/// A neighbours file of the packaged bundle, likewise.
pub fn neighbours(input: &[u8]) -> bool {
    used(open(TINY.manifest.clone(), NEIGHBOURS, &with_length(input)))
}

/// A file with values of items for a ranker, in a bundle that has one.
pub fn features(input: &[u8]) -> bool {
    static RANKED: LazyLock<Manifest> = LazyLock::new(|| {
        let seed = std::fs::read(here().join("seeds/manifest/ranker.json")).expect("a seed");
        Manifest::parse(&seed).expect("a manifest with a ranker")
    });
    match open(RANKED.clone(), FEATURES, &with_length(input)) {
        Ok((bundle, _)) => {
            let (features, ranker) = (bundle.features.as_ref(), bundle.manifest.ranker.as_ref());
            let (features, ranker) = features.zip(ranker).expect("values for the ranker");
            for (view, row) in (0..ranker.views.len()).flat_map(|view| (0..60).map(move |row| (view, row))) {
                let values = [0, 1, 23, 24, usize::MAX >> 3].map(|slot| features.value(view, row, slot));
                assert!(values.into_iter().flatten().all(f64::is_finite), "a value is a number");
            }
            used(Ok((bundle, Graphs::new())))
        }
        Err(error) => refused(&error),
    }
}

/// A safetensors file whose length of the header is put right.
fn with_length(input: &[u8]) -> Vec<u8> {
    let mut input = input.to_vec();
    let end = input.windows(2).rposition(|pair| pair == b"}}").map_or(0, |at| at + 2);
    if let Some(length) = end.checked_sub(8)
        && serde_json::from_slice::<serde_json::Value>(&input[8..end]).is_ok()
    {
        input[..8].copy_from_slice(&(length as u64).to_le_bytes());
    }
    input
}

/// `golden.json`, replayed by the packaged bundle.
pub fn golden(input: &[u8]) -> bool {
    thread_local!(static READY: Recommender = ready());
    READY.with(|recommender| match Golden::replay(recommender, input) {
        Ok(_) => true,
        Err(error) => refused(&error),
    })
}

fn used(opened: foretaste::Result<(Bundle, Graphs)>) -> bool {
    match opened {
        Ok((bundle, _)) => {
            use_it(bundle);
            true
        }
        Err(error) => refused(&error),
    }
}

/// An error names its part and has a code and a message. Returns false: the input was not accepted.
pub fn refused(error: &Error) -> bool {
    assert!(!error.code().is_empty() && !error.part.is_empty(), "{error:?}");
    one_line(&error.to_string());
    false
}

/// Does with a bundle what a page does.
fn use_it(bundle: Bundle) {
    let (dim, rows) = (bundle.rows.dim(), bundle.catalog.len() as u32);
    for row in 0..rows {
        let (catalog, fields) = (&bundle.catalog, bundle.catalog.fields(row));
        assert_eq!(catalog.row(catalog.id(row)), Some(row), "an id leads to its row");
        _ = (catalog.label(row), bundle.manifest.encoding.encode_item(&fields));
    }
    let types: Vec<String> = bundle.manifest.encoding.history.types.iter().map(|kind| kind.name.clone()).collect();
    let columns: Vec<String> = bundle.manifest.encoding.context.iter().map(|column| column.name.clone()).collect();
    let ids = [0, rows / 2, rows - 1].map(|row| bundle.catalog.id(row).to_owned());
    let mut recommender = Recommender::new(bundle, Box::new(|| 0.0));
    for (i, id) in ids.iter().enumerate() {
        let kind = types.get(i % types.len().max(1)).map_or("like", String::as_str).to_owned();
        let time = Some(1_700_000_000_000 + i as i64);
        _ = recommender.record(Event { item: id.clone(), kind, value: Some(i as f64), time, ..Event::default() });
    }
    let values = [Value::Number(3.0), Value::Text("a b".into()), Value::Set(vec!["a".into()]), Value::Vector(vec![1.0; 4])];
    let context: Fields = columns.iter().zip(values.iter().cycle()).map(|(name, value)| (name.clone(), value.clone())).collect();
    let history = recommender.profile().events().to_vec();
    let state = VisitorState { history: &history, context: &context, time: Some(1_700_000_100_000), tz_offset_min: Some(-90) };
    _ = recommender.encode(&state);
    for policy in ["greedy", "thompson"] {
        let explore = Explore { policy: policy.into(), seed: 1, ..Explore::default() };
        let vector = Some(vec![0.25; dim]);
        let request = Request { k: 5, vector, neighbours: Some(true), diversity: 0.3, explore, ..Request::default() };
        match recommender.recommend(&request) {
            Ok(slate) => sound(&recommender, &request, &slate),
            Err(error) => _ = refused(&error),
        }
    }
    let found = recommender.find("a", 5);
    let similar = recommender.similar(&ids[0], 5).expect("an id of the catalog");
    assert!(found.len() <= 5 && similar.len() <= 5 && similar.iter().all(|item| item.id != ids[0]));
}

/// What holds for every slate: known and different items, as many as asked for at most, scores that are numbers, and
/// propensities in (0, 1].
pub fn sound(recommender: &Recommender, request: &Request, slate: &Slate) {
    assert!(slate.items.len() <= request.k, "{} items for {}", slate.items.len(), request.k);
    for (i, item) in slate.items.iter().enumerate() {
        assert!(recommender.bundle().catalog.row(&item.id).is_some(), "an item of the catalog");
        assert!(slate.items[..i].iter().all(|other| other.id != item.id), "an item twice");
        assert!(!request.exclude.contains(&item.id), "an item that was excluded");
        assert!(!item.score.is_nan(), "a score that is no number");
        assert!(item.propensity.is_some_and(|p| p > 0.0 && p <= 1.0 + 1e-9), "propensity {:?}", item.propensity);
    }
}
