//! Named tensors in a safetensors file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::files::write_atomically;

/// Named tensors of 32-bit floats, with an optional text.
#[derive(Debug, Default, PartialEq)]
pub struct Numbers {
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
    /// The text that was written beside the tensors.
    pub note: Option<String>,
}

impl Numbers {
    /// Adds a tensor, row-major. A tensor of the same name is replaced.
    pub fn add(&mut self, name: impl Into<String>, shape: &[usize], data: &[f32]) {
        let bytes = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensors.insert(name.into(), (shape.to_vec(), bytes));
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Copies a tensor into `out`.
    ///
    /// # Errors
    /// There is no such tensor, or it does not have `out.len()` numbers.
    pub fn copy_to(&self, name: &str, out: &mut [f32]) -> Result<()> {
        let Some((_, bytes)) = self.tensors.get(name) else { bail!("no tensor `{name}`") };
        ensure!(bytes.len() == out.len() * 4, "tensor `{name}`: expected {} numbers, got {}", out.len(), bytes.len() / 4);
        let numbers = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("chunks of 4")));
        out.iter_mut().zip(numbers).for_each(|(o, x)| *o = x);
        Ok(())
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path, note: Option<String>) -> Result<()> {
        let tensors = self.tensors.iter();
        let views: Vec<_> = tensors
            .map(|(name, (shape, bytes))| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
            .collect::<Result<_>>()?;
        let note = note.map(|text| HashMap::from([("note".to_owned(), text)]));
        write_atomically(path, &serialize(views, note)?)
    }

    /// Reads a file that [`Numbers::write`] wrote.
    ///
    /// # Errors
    /// A file that cannot be read or is not safetensors.
    pub fn read(path: &Path) -> Result<Numbers> {
        let named = || format!("{}", path.display());
        let bytes = std::fs::read(path).with_context(named)?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).with_context(named)?;
        let note = metadata.metadata().as_ref().and_then(|m| m.get("note").cloned());
        let tensors = SafeTensors::deserialize(&bytes).with_context(named)?;
        let tensors = tensors.iter().map(|(name, t)| (name.to_owned(), (t.shape().to_vec(), t.data().to_vec())));
        Ok(Numbers { tensors: tensors.collect(), note })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_and_note_survive_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.safetensors");
        let mut numbers = Numbers::default();
        numbers.add("a", &[2, 1], &[1.5, f32::NAN]);
        numbers.write(&path, Some("{}".into())).unwrap();
        let read = Numbers::read(&path).unwrap();
        assert_eq!((read.tensors, read.note.as_deref()), (numbers.tensors, Some("{}")));
        let mut out = [0.0; 2];
        Numbers::read(&path).unwrap().copy_to("a", &mut out).unwrap();
        assert!(out[0] == 1.5 && out[1].is_nan());
        assert!(Numbers::read(&path).unwrap().copy_to("a", &mut [0.0]).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
