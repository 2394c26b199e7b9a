//! A file's content as a window that parsers move over, which knows byte and line.

use memchr::memchr_iter;

use super::{decompress::Content, error::FileError};

/// How much room there is at least for each read, in bytes.
const READ_SIZE: usize = 64 * 1024;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The longest record, in bytes: what is longer is a file of another format.
pub const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// What a parser sees of a file: the bytes from where it stands to as far as has been read.
pub struct Window {
    path: String,
    content: Content,
    buffer: Vec<u8>,
    /// What of `buffer` is in the window.
    start: usize,
    end: usize,
    /// Where the window begins, in bytes of the uncompressed content.
    offset: u64,
    /// How many line feeds lie before the window.
    line_feeds: u64,
    /// On which line the latest record begins.
    record_line: u64,
}

impl Window {
    /// Opens a file at its beginning, behind a byte order mark if it has one.
    pub(super) fn open(path: &str) -> Result<Self, FileError> {
        let mut window = Self {
            path: path.to_owned(),
            content: Content::open(path)?,
            buffer: vec![0; READ_SIZE],
            start: 0,
            end: 0,
            offset: 0,
            line_feeds: 0,
            record_line: 1,
        };
        while window.data().len() < BYTE_ORDER_MARK.len() && window.fill()? {}
        if window.data().starts_with(BYTE_ORDER_MARK) {
            window.consume(BYTE_ORDER_MARK.len());
        }
        Ok(window)
    }

    /// The file, as discovery found it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is in the window.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Where the window begins, in bytes of the uncompressed content.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The line in which the window begins, counted from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line_feeds + 1
    }

    /// Says that a record begins where the window does: so the line is known of a record that user
    /// code fails on, in the parser already or in an operator.
    #[inline]
    pub fn begin_record(&mut self) {
        self.record_line = self.line();
    }

    /// On which line the latest record begins, counted from 1.
    #[must_use]
    pub fn record_line(&self) -> u64 {
        self.record_line
    }

    /// Moves the window's beginning forward by `count` bytes, at most its length.
    pub fn consume(&mut self, count: usize) {
        let passed = &self.buffer[self.start..self.end][..count];
        self.line_feeds += memchr_iter(b'\n', passed).count() as u64;
        self.start += count;
        self.offset += count as u64;
    }

    /// Reads more into the window; `false` at the end of the content.
    ///
    /// # Errors
    ///
    /// When the file can't be read or is corrupt, or when the window holds
    /// [`MAX_RECORD_BYTES`] already.
    pub fn fill(&mut self) -> Result<bool, FileError> {
        if self.is_full() {
            return Err(self.too_long(self.line()));
        }
        self.make_room();
        let count = self.content.read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count > 0)
    }

    /// Whether the window holds as much as a record may be long.
    pub(super) fn is_full(&self) -> bool {
        self.data().len() >= MAX_RECORD_BYTES
    }

    /// The error for a record that does not end.
    pub(super) fn too_long(&self, line: u64) -> FileError {
        FileError::TooLong { path: self.path.clone(), line, limit: MAX_RECORD_BYTES }
    }

    fn make_room(&mut self) {
        if self.start > 0 && self.buffer.len() - self.end < READ_SIZE / 2 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.end < READ_SIZE / 2 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    /// How many bytes of the file itself have been used, at least.
    pub(super) fn used(&self) -> u64 {
        self.content.used()
    }

    /// Goes to the place `offset` in the content, in a line after `line_feeds` line feeds.
    ///
    /// A plain file is sought in, a compressed one read again.
    pub(super) fn go_to(&mut self, offset: u64, line_feeds: u64) -> Result<(), FileError> {
        if offset < self.offset {
            *self = Self::open(&self.path)?;
        }
        if self.offset + self.data().len() as u64 <= offset && self.content.seek(offset)? {
            (self.start, self.end, self.offset) = (0, 0, offset);
        }
        self.skip_to(offset)?;
        self.line_feeds = line_feeds;
        Ok(())
    }

    fn skip_to(&mut self, offset: u64) -> Result<(), FileError> {
        while self.offset < offset {
            if self.data().is_empty() && !self.fill()? {
                let (path, length) = (self.path.clone(), self.offset);
                return Err(FileError::Shrunk { path, read: offset, length });
            }
            let missing = usize::try_from(offset - self.offset).unwrap_or(usize::MAX);
            self.consume(missing.min(self.data().len()));
        }
        Ok(())
    }
}
