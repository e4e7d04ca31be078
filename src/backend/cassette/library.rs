//! The cassettes of a folder.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use super::{Cassette, Difference, MAX_TOTAL, Request, keep};
use crate::backend::yaml::{LoadError, files};

/// A folder of cassettes, shared by all who replay and record.
#[derive(Debug)]
pub struct Cassettes {
    pub(super) folder: PathBuf,
    pub(super) state: RwLock<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) by_request: HashMap<[u8; 32], Arc<Kept>>,
    pub(super) bytes: usize,
}

/// A cassette and where it is kept.
#[derive(Debug)]
pub struct Kept {
    /// Its file.
    pub path: PathBuf,
    /// What it holds.
    pub cassette: Cassette,
}

impl Kept {
    /// The file's name, without the folder.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

impl Cassettes {
    /// Reads all cassettes below a folder.
    ///
    /// # Errors
    /// [`LoadError`] for the first file that cannot be, and where two are of the same request.
    pub fn load(folder: &Path) -> Result<Self, LoadError> {
        let mut state = State::default();
        for path in files(folder)? {
            let cassette = Cassette::read(&path)?;
            state.bytes += cassette.response.bytes();
            if state.bytes > MAX_TOTAL {
                let reason = format!("more than {MAX_TOTAL} bytes of replies in the folder");
                return Err(LoadError::of(&path, reason));
            }
            let digest = cassette.request.digest();
            let kept = Arc::new(Kept { path, cassette });
            if let Some(other) = state.by_request.insert(digest, Arc::clone(&kept)) {
                let other = other.path.display();
                let reason = format!("its request is that of {other} too; one of them has to go");
                return Err(LoadError::of(&kept.path, reason));
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            state: RwLock::new(state),
        })
    }

    /// The same, and the folder is made where there is none.
    ///
    /// # Errors
    /// [`LoadError`] likewise, and where it cannot be made.
    pub fn make(folder: &Path) -> Result<Self, LoadError> {
        let made = fs::create_dir_all(folder).and_then(|()| keep::check(folder));
        made.map_err(|error| LoadError::of(folder, format_args!("cannot be written: {error}")))?;
        Self::load(folder)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.read(|state| state.by_request.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in order of their files.
    pub fn all(&self) -> Vec<Arc<Kept>> {
        let kept = self.read(|state| state.by_request.values().cloned().collect::<Vec<_>>());
        let by_path: BTreeMap<_, _> = kept.into_iter().map(|k| (k.path.clone(), k)).collect();
        by_path.into_values().collect()
    }

    /// The one of this request.
    pub fn find(&self, request: &Request) -> Option<Arc<Kept>> {
        self.read(|state| state.by_request.get(&request.digest()).cloned())
    }

    /// The one whose request is most like this, and how they differ.
    pub fn nearest(&self, request: &Request) -> Option<(Arc<Kept>, Vec<Difference>)> {
        let mut nearest = None;
        let mut least = f64::INFINITY;
        for kept in self.all() {
            let differences = kept.cassette.request.differences(request);
            let weight = differences.iter().map(|difference| difference.weight).sum();
            if weight < least {
                least = weight;
                nearest = Some((kept, differences));
            }
        }
        nearest
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        // Nothing that panics runs under the lock.
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}
