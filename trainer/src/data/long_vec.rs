//! A vector that may be longer than the memory. While it is short it lies in memory, then in a temporary file that is
//! memory-mapped, so that the system keeps as much of it in memory as there is room for.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use anyhow::{Context, Result};
use memmap2::MmapMut;

/// Bytes of a new file, and the most by which it grows: the file doubles until it grows by that much.
const GROWTH: [usize; 2] = [1 << 20, 1 << 26];

/// A `Vec` that may be longer than the memory. Adding a value can fail, because the disk may be full.
pub struct LongVec<T> {
    place: Place<T>,
    most: usize,
}

enum Place<T> {
    Memory(Vec<T>),
    File(Mapped<T>),
}

impl<T: Copy + 'static> LongVec<T> {
    /// An empty vector that holds at most `most` bytes in memory.
    pub fn new(most: usize) -> Self {
        LongVec { place: Place::Memory(Vec::new()), most }
    }

    /// Collects values; at most `most` bytes of them are held in memory.
    ///
    /// # Errors
    /// The folder for temporary files is full or cannot be written.
    pub fn collect(most: usize, mut values: impl Iterator<Item = T>) -> Result<Self> {
        let mut out = LongVec::new(most);
        values.try_for_each(|value| out.push(value))?;
        Ok(out)
    }

    /// Adds a value.
    ///
    /// # Errors
    /// The folder for temporary files is full or cannot be written.
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

    /// Tells the system that reads will be at random places, so that it does not read ahead in the file.
    pub fn read_anywhere(&self) {
        #[cfg(unix)]
        if let Place::File(mapped) = &self.place {
            // Only the speed depends on it, so an error is ignored.
            let _ = mapped.map.advise(memmap2::Advice::Random);
        }
    }

    /// Most bytes that it holds in memory.
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

/// Values in a file without a name: nobody else can change it, and it is deleted when this is dropped.
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
        // SAFETY: the check above made room for the value; the map starts at a page, so consecutive values are aligned;
        // the old bytes need no drop.
        unsafe { self.map.as_mut_ptr().cast::<T>().add(self.len).write(value) };
        self.len += 1;
        Ok(())
    }

    fn values(&self) -> &[T] {
        // SAFETY: the first `len` values have been written, and the map starts at a page.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.len) }
    }

    fn values_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `values`; the map is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.map.as_mut_ptr().cast(), self.len) }
    }
}

/// Makes a file longer by `by` bytes and maps it. The bytes are written, not only reserved, so that a full disk is an
/// error here and not a fault when a page is touched later.
fn longer(file: &mut File, by: usize) -> io::Result<MmapMut> {
    let zeros = vec![0; GROWTH[0]];
    for _ in 0..by / GROWTH[0] {
        file.write_all(&zeros)?;
    }
    // SAFETY: the file has no name, so nobody else can change it.
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
