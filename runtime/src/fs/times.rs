//! Says when a file is to have been read and written.

use std::time::SystemTime;

/// What [`File::set_times`](crate::fs::File::set_times) is to set; the rest stays as it is.
///
/// ```
/// use forebear::fs::FileTimes;
/// use std::time::SystemTime;
///
/// let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
/// assert!(format!("{times:?}").contains("modified"));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "`File::set_times` sets them"]
pub struct FileTimes(std::fs::FileTimes);

impl FileTimes {
    /// Begins with nothing to set.
    pub fn new() -> FileTimes {
        FileTimes::default()
    }

    /// Says when it was last read.
    pub fn set_accessed(self, time: SystemTime) -> FileTimes {
        FileTimes(self.0.set_accessed(time))
    }

    /// Says when it was last written.
    pub fn set_modified(self, time: SystemTime) -> FileTimes {
        FileTimes(self.0.set_modified(time))
    }

    /// Says when it was created.
    #[cfg(any(windows, target_vendor = "apple"))]
    pub fn set_created(self, time: SystemTime) -> FileTimes {
        #[cfg(target_vendor = "apple")]
        use std::os::darwin::fs::FileTimesExt;
        #[cfg(windows)]
        use std::os::windows::fs::FileTimesExt;

        FileTimes(self.0.set_created(time))
    }

    pub(super) fn into_std(self) -> std::fs::FileTimes {
        self.0
    }
}
