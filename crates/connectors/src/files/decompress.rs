//! Opens a file, plain or compressed, as a stream of its content.
//!
//! The first bytes tell the compression. A name that ends in `.gz` or `.zst` promises it, so that
//! such a file without them, an empty one too, is corrupt. Zeros behind the last member of a gzip file
//! are passed over, as `gzip -d` does: tapes and uploads in blocks leave them.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

use flate2::bufread::GzDecoder;

use super::error::FileError;

/// How much is read from the disk at once, in bytes.
const DISK_BUFFER: usize = 128 * 1024;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    Plain,
    Gzip,
    Zstd,
}

impl Compression {
    fn of(path: &str, beginning: &[u8]) -> Self {
        let named = |extension| path.to_ascii_lowercase().ends_with(extension);
        if beginning.starts_with(GZIP_MAGIC) || named(".gz") {
            Self::Gzip
        } else if beginning.starts_with(ZSTD_MAGIC) || named(".zst") {
            Self::Zstd
        } else {
            Self::Plain
        }
    }
}

/// A file's content.
pub(super) struct Content {
    path: String,
    decoder: Decoder,
    /// How much of the content has been read.
    read: u64,
}

enum Decoder {
    Plain(Counted),
    Gzip(Members),
    Zstd(zstd::Decoder<'static, Counted>),
}

impl Content {
    /// Opens the file at `path`.
    pub(super) fn open(path: &str) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::io("open", path))?;
        let mut file = Counted::new(file);
        let beginning = file.fill_buf().map_err(FileError::io("read", path))?;
        let compression = Compression::of(path, beginning);
        let empty = beginning.is_empty();
        let decoder = match compression {
            Compression::Plain => Decoder::Plain(file),
            Compression::Gzip => Decoder::Gzip(Members::new(file)),
            Compression::Zstd => Decoder::Zstd(
                zstd::Decoder::with_buffer(file).map_err(FileError::io("decompress", path))?,
            ),
        };
        let content = Self { path: path.to_owned(), decoder, read: 0 };
        if empty && compression != Compression::Plain {
            return Err(content.error(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(content)
    }

    /// Reads some of the content, 0 bytes only at its end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, FileError> {
        loop {
            let result = match &mut self.decoder {
                Decoder::Plain(file) => file.read(into),
                Decoder::Gzip(decoder) => decoder.read(into),
                Decoder::Zstd(decoder) => decoder.read(into),
            };
            match result {
                Ok(count) => {
                    self.read += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error)),
            }
        }
    }

    /// Goes to a place in the content without reading what lies before; `false` if that is not
    /// possible because it is compressed.
    pub(super) fn seek(&mut self, offset: u64) -> Result<bool, FileError> {
        let Decoder::Plain(file) = &mut self.decoder else { return Ok(false) };
        let length = file.length().map_err(FileError::io("look at", &self.path))?;
        if length < offset {
            return Err(FileError::Shrunk { path: self.path.clone(), read: offset, length });
        }
        file.seek(offset).map_err(FileError::io("seek in", &self.path))?;
        self.read = offset;
        Ok(true)
    }

    /// How many bytes of the file itself have been used.
    pub(super) fn used(&self) -> u64 {
        self.file().used
    }

    fn file(&self) -> &Counted {
        match &self.decoder {
            Decoder::Plain(file) => file,
            Decoder::Gzip(members) => members.file(),
            Decoder::Zstd(decoder) => decoder.get_ref(),
        }
    }

    /// Tells a disk that fails from a decoder that can't make sense of what it reads.
    fn error(&self, source: io::Error) -> FileError {
        if self.file().failed || matches!(self.decoder, Decoder::Plain(_)) {
            return FileError::io("read", &self.path)(source);
        }
        FileError::Corrupt {
            path: self.path.clone(),
            compressed: self.used(),
            uncompressed: self.read,
            source: source.into(),
        }
    }
}

/// The members of a gzip file, one behind the other.
struct Members {
    /// `None` only from one member to the next.
    decoder: Option<GzDecoder<Counted>>,
    /// Whether the last one has been read.
    ended: bool,
}

impl Members {
    fn new(file: Counted) -> Self {
        Self { decoder: Some(GzDecoder::new(file)), ended: false }
    }

    fn file(&self) -> &Counted {
        self.decoder.as_ref().expect("there is a member").get_ref()
    }

    /// Goes on to the next member, if there is one.
    fn next(&mut self) -> io::Result<()> {
        let mut file = self.decoder.take().expect("there is a member").into_inner();
        let more = skip_zeros(&mut file);
        self.decoder = Some(GzDecoder::new(file));
        self.ended = !more?;
        Ok(())
    }
}

/// Tells whether there is anything but zeros.
fn skip_zeros(file: &mut Counted) -> io::Result<bool> {
    loop {
        let bytes = file.fill_buf()?;
        let (zeros, length) = (bytes.iter().take_while(|byte| **byte == 0).count(), bytes.len());
        file.consume(zeros);
        if zeros < length || length == 0 {
            return Ok(length > 0);
        }
    }
}

impl Read for Members {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.ended {
            let count = self.decoder.as_mut().expect("there is a member").read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            self.next()?;
        }
        Ok(0)
    }
}

/// A file that counts what its reader has used, and remembers whether the disk has failed.
struct Counted {
    file: BufReader<File>,
    used: u64,
    failed: bool,
}

impl Counted {
    fn new(file: File) -> Self {
        Self { file: BufReader::with_capacity(DISK_BUFFER, file), used: 0, failed: false }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.get_ref().metadata()?.len())
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.used = offset;
        Ok(())
    }
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(into).inspect_err(|_| self.failed = true)?;
        self.used += count as u64;
        Ok(count)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.file.fill_buf().inspect_err(|_| self.failed = true)
    }

    fn consume(&mut self, count: usize) {
        self.used += count as u64;
        self.file.consume(count);
    }
}
