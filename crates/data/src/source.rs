//! The bytes of a file, unpacked where they are gzip, and their hash.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

const BUFFER_BYTES: usize = 1 << 16;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A file read once from its beginning to its end.
pub(crate) enum Source {
    /// Bytes as they lie on disk.
    Plain(BufReader<Hashing>),
    /// Bytes unpacked while they are read.
    Gzip(Box<BufReader<MultiGzDecoder<BufReader<Hashing>>>>),
}

/// A file whose bytes are hashed as they pass.
pub(crate) struct Hashing {
    file: File,
    hash: Sha256,
}

impl Source {
    /// The file, ready to be read; gzip is told by its first bytes or by the name's ending.
    pub(crate) fn open(path: &Path) -> io::Result<Source> {
        let file = File::open(path)?;
        let hashing = Hashing { file, hash: Sha256::new() };
        let mut bytes = BufReader::with_capacity(BUFFER_BYTES, hashing);
        let packed = bytes.fill_buf()?.starts_with(&GZIP_MAGIC)
            || path.extension().is_some_and(|ending| ending == "gz");
        if !packed {
            return Ok(Source::Plain(bytes));
        }
        let unpacked = MultiGzDecoder::new(bytes);
        Ok(Source::Gzip(Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked))))
    }

    /// The SHA-256 of the file as it lies on disk, in hexadecimal; reads what has not been read yet.
    pub(crate) fn into_sha256(self) -> io::Result<String> {
        let mut bytes = match self {
            Source::Plain(bytes) => bytes,
            Source::Gzip(unpacked) => unpacked.into_inner().into_inner(),
        };
        io::copy(&mut bytes, &mut io::sink())?;
        let digest = bytes.into_inner().hash.finalize();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if let Some(bytes) = buffer.get(..read) {
            self.hash.update(bytes);
        }
        Ok(read)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Plain(bytes) => bytes.read(buffer),
            Source::Gzip(bytes) => bytes.read(buffer),
        }
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Source::Plain(bytes) => bytes.fill_buf(),
            Source::Gzip(bytes) => bytes.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self {
            Source::Plain(bytes) => bytes.consume(amount),
            Source::Gzip(bytes) => bytes.consume(amount),
        }
    }
}
