//! Whether anything was committed to a file, seen in the memory that its processes share.
//!
//! Each commit in WAL mode, of whatever process, ends by writing the header of the WAL-index anew: a count of
//! commits, the length of the WAL and its running checksum (<https://www.sqlite.org/walformat.html>, section 2.1). By
//! comparing it, SQLite finds out whether what it holds in memory is old, and `PRAGMA data_version` counts how often it
//! was. Asking that takes and gives back two locks of the file, four calls of the system; looking at the header, none.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::{Connection, ffi};

/// The header stands there twice, 48 bytes each: who finds two different ones has come while it was written.
const WORDS: usize = 24;

/// SQLite's own size of a piece of the WAL-index.
const REGION_BYTES: i32 = 32_768;

/// Both copies of the header as they were at a moment.
pub(super) type Header = [u32; WORDS];

/// The WAL-index of a connection that is open.
pub(super) struct WalIndex(NonNull<[AtomicU32; WORDS]>);

#[expect(unsafe_code, reason = "memory that processes share has no owner that the compiler knows")]
// SAFETY: what it points to is read only, by atomic loads, and belongs to no thread.
unsafe impl Send for WalIndex {}

impl WalIndex {
    /// That of a connection that has begun a read in WAL mode; `None` where there is no such memory.
    ///
    /// # Safety
    /// It must not be used when the connection is closed: SQLite may take the memory away then.
    #[expect(
        unsafe_code,
        reason = "SQLite tells of this memory through its interface for file systems alone"
    )]
    pub(super) unsafe fn of(connection: &Connection) -> Option<Self> {
        let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
        // SAFETY: the handle is open as long as the reference lives; the operation writes one pointer to a file that
        // SQLite keeps open as long as the connection (`SQLITE_FCNTL_FILE_POINTER`).
        let told = unsafe {
            let file: *mut c_void = (&raw mut file).cast();
            ffi::sqlite3_file_control(
                connection.handle(),
                c"main".as_ptr(),
                ffi::SQLITE_FCNTL_FILE_POINTER,
                file,
            )
        };
        if told != ffi::SQLITE_OK || file.is_null() {
            return None;
        }
        let mut region: *mut c_void = ptr::null_mut();
        // SAFETY: an open file has methods, from their second version on with shared memory (`sqlite3_io_methods`). The
        // first region is mapped already, by the read, and is not extended; where it is not there, the pointer is null.
        let mapped = unsafe {
            let methods = (*file).pMethods.as_ref().filter(|methods| methods.iVersion >= 2)?;
            methods.xShmMap?(file, 0, REGION_BYTES, 0, (&raw mut region).cast())
        };
        // A region begins a page and is larger than the header.
        NonNull::new(region.cast()).filter(|_| mapped == ffi::SQLITE_OK).map(Self)
    }

    /// The header now. Every commit that had returned before is in it.
    #[expect(unsafe_code, reason = "memory that processes share has no owner that the compiler knows")]
    pub(super) fn header(&self) -> Header {
        // SAFETY: whoever made this sees to it that the connection is open, and SQLite moves no region that is mapped.
        let words = unsafe { self.0.as_ref() };
        words.each_ref().map(|word| word.load(Ordering::Acquire))
    }
}
