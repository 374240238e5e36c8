//! A long row of values: in memory while it is short, then in a temporary file that is mapped into it, so that the system holds as much of it as there is room for.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use anyhow::{Context, Result};
use memmap2::MmapMut;

/// Bytes of a new file, of which it always has a multiple, and most by which it grows: it doubles until then.
const GROWTH: [usize; 2] = [1 << 20, 1 << 26];

/// A `Vec` that may be longer than the memory. Adding to it can fail: the disk may be full.
pub struct LongVec<T> {
    place: Place<T>,
    most: usize,
}

enum Place<T> {
    Memory(Vec<T>),
    File(Mapped<T>),
}

impl<T: Copy + 'static> LongVec<T> {
    /// An empty one, which holds at most so many bytes in memory.
    pub fn new(most: usize) -> Self {
        LongVec { place: Place::Memory(Vec::new()), most }
    }

    /// Collects values.
    ///
    /// # Errors
    /// The folder of temporary files is full or cannot be written.
    pub fn collect(most: usize, mut values: impl Iterator<Item = T>) -> Result<Self> {
        let mut out = LongVec::new(most);
        values.try_for_each(|value| out.push(value))?;
        Ok(out)
    }

    /// Adds a value.
    ///
    /// # Errors
    /// The folder of temporary files is full or cannot be written.
    pub fn push(&mut self, value: T) -> Result<()> {
        match &mut self.place {
            Place::Memory(values) if (values.len() + 1) * size_of::<T>() <= self.most => values.push(value),
            Place::Memory(values) => {
                let mut mapped = Mapped::new().with_context(full)?;
                values.iter().chain([&value]).try_for_each(|value| mapped.push(*value)).with_context(full)?;
                self.place = Place::File(mapped);
            }
            Place::File(mapped) => mapped.push(value).with_context(full)?,
        }
        Ok(())
    }

    /// Says that it will be read here and there: the system then fetches no more of a file than is asked for.
    pub fn read_anywhere(&self) {
        #[cfg(unix)]
        if let Place::File(mapped) = &self.place {
            // It changes nothing but the time.
            let _ = mapped.map.advise(memmap2::Advice::Random);
        }
    }

    /// Bytes that it holds in memory at most.
    pub fn most(&self) -> usize {
        self.most
    }
}

fn full() -> String {
    format!(
        "{}: what is too long for the memory cannot be written there (TMPDIR names another folder)",
        std::env::temp_dir().display()
    )
}

impl<T> From<Vec<T>> for LongVec<T> {
    fn from(values: Vec<T>) -> Self {
        LongVec { place: Place::Memory(values), most: usize::MAX }
    }
}

impl<T> Deref for LongVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.place {
            Place::Memory(values) => values,
            Place::File(mapped) => mapped.values(),
        }
    }
}

impl<T> DerefMut for LongVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.place {
            Place::Memory(values) => values,
            Place::File(mapped) => mapped.values_mut(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for LongVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Values in a file that has no name, so nobody else changes it, and that goes with this.
struct Mapped<T> {
    file: File,
    map: MmapMut,
    len: usize,
    of: PhantomData<T>,
}

impl<T> Mapped<T> {
    fn new() -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        Ok(Mapped { map: longer(&mut file, GROWTH[0])?, file, len: 0, of: PhantomData })
    }

    fn push(&mut self, value: T) -> io::Result<()> {
        if (self.len + 1) * size_of::<T>() > self.map.len() {
            self.map = longer(&mut self.file, self.map.len().min(GROWTH[1]))?;
        }
        // SAFETY: there is room, as was just seen; a map starts at a page, so values in a row are aligned; nothing is dropped there.
        unsafe { self.map.as_mut_ptr().cast::<T>().add(self.len).write(value) };
        self.len += 1;
        Ok(())
    }

    fn values(&self) -> &[T] {
        // SAFETY: the first `len` values were written; the map starts at a page.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.len) }
    }

    fn values_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `values`, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.map.as_mut_ptr().cast(), self.len) }
    }
}

/// Maps a file after so many bytes more. They are written, where a length alone would do: a full disk is an error here and no fault of a page later.
fn longer(file: &mut File, by: usize) -> io::Result<MmapMut> {
    let zeros = vec![0; GROWTH[0]];
    for _ in 0..by / GROWTH[0] {
        file.write_all(&zeros)?;
    }
    // SAFETY: the file has no name, so nobody else changes it.
    unsafe { MmapMut::map_mut(&*file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_ones_are_alike() {
        let values = || (0..200_000u64).map(|i| (i as u8, i * i));
        let short: LongVec<_> = values().collect::<Vec<_>>().into();
        for most in [0, 100, 1 << 20, usize::MAX] {
            let mut long = LongVec::collect(most, values()).unwrap();
            long.read_anywhere();
            assert_eq!(matches!(long.place, Place::File(_)), most < usize::MAX, "{most}");
            assert!(*long == *short && long.most() == most);
            long[3].0 = 77;
            long.push((1, 2)).unwrap();
            assert_eq!((long.len(), long[3].0, long[4], long[200_000]), (200_001, 77, (4, 16), (1, 2)));
            long.sort_by_key(|(_, square)| std::cmp::Reverse(*square));
            assert_eq!(long[0].1, 199_999 * 199_999);
        }
        assert!(LongVec::<u32>::new(0).is_empty());
    }
}
