//! HTTP/1.1 answers, read without keeping them.
//!
//! The load generator reads tens of thousands of answers a second and wants three things of each: its
//! status, where it ends, and perhaps the first bytes of its body. Heads are parsed by `httparse`; bodies
//! are followed to their end by length, by chunks or to the end of the connection, and thrown away past
//! what the caller wants. What a target may send is bounded everywhere.

use std::io;

use httparse::{EMPTY_HEADER, Header, Response, Status, parse_chunk_size};
use tokio::io::{AsyncRead, AsyncReadExt};

const FIRST_SIZE: usize = 8 * 1024;
const LARGEST_HEAD: usize = 64 * 1024;
const MOST_HEADERS: usize = 100;
const LONGEST_CHUNK_LINE: usize = 4096;

/// Bytes that were read and not yet used.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    received: u64,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: vec![0; FIRST_SIZE], start: 0, end: 0, received: 0 }
    }
}

impl Buffer {
    /// What is there.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// How many bytes came since the connection was made.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Marks the first `count` bytes as used.
    pub fn consume(&mut self, count: usize) {
        self.start += count.min(self.end - self.start);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads more, at least one byte. The end of the connection is an error of kind `UnexpectedEof`.
    pub async fn fill(&mut self, wire: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        if self.end == self.bytes.len() {
            if self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else if self.bytes.len() < LARGEST_HEAD {
                self.bytes.resize(self.bytes.len() * 2, 0);
            } else {
                return Err(invalid("the head of the answer is longer than 64 KiB"));
            }
        }
        match wire.read(&mut self.bytes[self.end..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.end += count;
                self.received += count as u64;
                Ok(())
            }
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its status.
    pub status: u16,
    /// How its body ends.
    pub body: Body,
    /// Whether the connection may be used again.
    pub reuse: Reuse,
}

/// Whether a connection may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It may.
    Yes,
    /// The target ends it.
    No,
}

/// What was asked, as far as it changes how the answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// For the head alone.
    Head,
    /// For everything.
    Whole,
}

/// Reads a head; interim answers (100 to 199, except 101) are skipped.
pub async fn read_head(buffer: &mut Buffer, wire: &mut (impl AsyncRead + Unpin), asked: Asked) -> io::Result<Head> {
    loop {
        if !buffer.unread().is_empty()
            && let Some((length, head)) = parse_head(buffer.unread(), asked)?
        {
            buffer.consume(length);
            if head.status >= 200 || head.status == 101 {
                return Ok(head);
            }
            continue;
        }
        buffer.fill(wire).await?;
    }
}

fn parse_head(bytes: &[u8], asked: Asked) -> io::Result<Option<(usize, Head)>> {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut response = Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(error) => return Err(invalid(&format!("not an HTTP answer: {error}"))),
    };
    let status = response.code.unwrap_or_default();
    let reuse = if response.version == Some(1) { Reuse::Yes } else { Reuse::No };
    let mut head = Head { status, body: Body::UntilClose, reuse };
    apply_headers(&mut head, response.headers)?;
    if asked == Asked::Head || status < 200 || matches!(status, 204 | 304) {
        head.body = Body::Length(0);
    }
    if head.body == Body::UntilClose {
        head.reuse = Reuse::No;
    }
    Ok(Some((length, head)))
}

fn apply_headers(head: &mut Head, headers: &[Header<'_>]) -> io::Result<()> {
    for header in headers {
        let value = || header.value.trim_ascii();
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(value()).ok().and_then(|text| text.parse().ok());
            let length = length.ok_or_else(|| invalid("the content-length of the answer is not a number"))?;
            if head.body != Body::Chunked {
                head.body = Body::Length(length);
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            let last = value().rsplit(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
            head.body = if last.eq_ignore_ascii_case(b"chunked") { Body::Chunked } else { Body::UntilClose };
        } else if header.name.eq_ignore_ascii_case("connection") {
            for word in value().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                if word.eq_ignore_ascii_case(b"close") {
                    head.reuse = Reuse::No;
                } else if word.eq_ignore_ascii_case(b"keep-alive") {
                    head.reuse = Reuse::Yes;
                }
            }
        }
    }
    Ok(())
}

/// The first bytes of a body.
#[derive(Debug, Default)]
pub struct Kept {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many there may be.
    pub most: usize,
    /// How long the whole body was.
    pub total: u64,
}

impl Kept {
    /// Begins anew, with room for so many bytes.
    pub fn begin(&mut self, most: usize) {
        self.bytes.clear();
        self.most = most;
        self.total = 0;
    }

    fn add(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.most.saturating_sub(self.bytes.len()).min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..room]);
    }
}

/// Reads a body to its end.
pub async fn read_body(
    buffer: &mut Buffer,
    wire: &mut (impl AsyncRead + Unpin),
    body: Body,
    kept: &mut Kept,
) -> io::Result<()> {
    match body {
        Body::Length(length) => read_length(buffer, wire, length, kept).await,
        Body::Chunked => read_chunks(buffer, wire, kept).await,
        Body::UntilClose => loop {
            kept.add(buffer.unread());
            buffer.consume(usize::MAX);
            match buffer.fill(wire).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
        },
    }
}

async fn read_length(
    buffer: &mut Buffer,
    wire: &mut (impl AsyncRead + Unpin),
    length: u64,
    kept: &mut Kept,
) -> io::Result<()> {
    let mut missing = length;
    loop {
        let count = buffer.unread().len().min(usize::try_from(missing).unwrap_or(usize::MAX));
        kept.add(&buffer.unread()[..count]);
        buffer.consume(count);
        missing -= count as u64;
        if missing == 0 {
            return Ok(());
        }
        buffer.fill(wire).await?;
    }
}

async fn read_chunks(buffer: &mut Buffer, wire: &mut (impl AsyncRead + Unpin), kept: &mut Kept) -> io::Result<()> {
    loop {
        let size = loop {
            match parse_chunk_size(buffer.unread()) {
                Ok(Status::Complete((line, size))) => {
                    buffer.consume(line);
                    break size;
                }
                Ok(Status::Partial) if buffer.unread().len() <= LONGEST_CHUNK_LINE => buffer.fill(wire).await?,
                _ => return Err(invalid("a chunk of the answer has no size")),
            }
        };
        if size == 0 {
            while read_line(buffer, wire).await? != 0 {}
            return Ok(());
        }
        read_length(buffer, wire, size, kept).await?;
        if read_line(buffer, wire).await? != 0 {
            return Err(invalid("a chunk of the answer is longer than it says"));
        }
    }
}

/// Skips a line and tells how long it was without its end.
async fn read_line(buffer: &mut Buffer, wire: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
    loop {
        if let Some(end) = buffer.unread().iter().position(|&byte| byte == b'\n') {
            let line = buffer.unread()[..end].trim_ascii_end().len();
            buffer.consume(end + 1);
            return Ok(line);
        }
        buffer.fill(wire).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all answers in `bytes`, given in pieces of `piece` bytes.
    async fn answers(bytes: &[u8], piece: usize, asked: Asked) -> io::Result<Vec<(u16, Reuse, String)>> {
        let mut wire = Pieces(bytes.chunks(piece).rev().map(<[u8]>::to_vec).collect());
        let (mut buffer, mut kept, mut out) = (Buffer::default(), Kept::default(), Vec::new());
        loop {
            let head = match read_head(&mut buffer, &mut wire, asked).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && buffer.unread().is_empty() => {
                    return Ok(out);
                }
                other => other?,
            };
            kept.begin(1 << 20);
            read_body(&mut buffer, &mut wire, head.body, &mut kept).await?;
            out.push((head.status, head.reuse, String::from_utf8_lossy(&kept.bytes).into_owned()));
        }
    }

    struct Pieces(Vec<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buf: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            if let Some(mut piece) = self.0.pop() {
                let count = piece.len().min(buf.remaining());
                buf.put_slice(&piece[..count]);
                if count < piece.len() {
                    self.0.push(piece.split_off(count));
                }
            }
            std::task::Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn answers_end_where_they_end_however_they_are_cut() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
            HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\nTrailer: a\r\n\r\n\
            HTTP/1.1 204 No Content\r\n\r\n\
            HTTP/1.1 429 Slow\r\nConnection: Close\r\ncontent-length: 0\r\n\r\n\
            HTTP/1.0 200 OK\r\n\r\nto the end";
        let expected = vec![
            (200, Reuse::Yes, "hello".to_owned()),
            (201, Reuse::Yes, "Wikipedia".to_owned()),
            (204, Reuse::Yes, String::new()),
            (429, Reuse::No, String::new()),
            (200, Reuse::No, "to the end".to_owned()),
        ];
        for piece in [1, 2, 3, 7, 50, 10_000] {
            assert_eq!(answers(text, piece, Asked::Whole).await.expect("answers"), expected, "{piece}");
        }
    }

    #[tokio::test]
    async fn an_answer_to_head_has_no_body() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(answers(text, 10, Asked::Head).await.expect("answers").len(), 2);
    }

    #[tokio::test]
    async fn nonsense_is_refused_and_bounded() {
        let endless = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'x'; 100_000]].concat();
        for (text, kind) in [
            (b"SSH-2.0-OpenSSH\r\n\r\n".as_slice(), io::ErrorKind::InvalidData),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", io::ErrorKind::InvalidData),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", io::ErrorKind::InvalidData),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", io::ErrorKind::InvalidData),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", io::ErrorKind::UnexpectedEof),
            (&endless, io::ErrorKind::InvalidData),
        ] {
            let error = answers(text, 1000, Asked::Whole).await.expect_err("refused");
            assert_eq!(error.kind(), kind, "{error}");
        }
    }

    #[tokio::test]
    async fn no_more_of_a_body_is_kept_than_wanted() {
        let mut text = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec();
        text.extend(vec![b'z'; 100_000]);
        let (mut buffer, mut kept) = (Buffer::default(), Kept::default());
        let mut wire = text.as_slice();
        let head = read_head(&mut buffer, &mut wire, Asked::Whole).await.expect("head");
        kept.begin(10);
        read_body(&mut buffer, &mut wire, head.body, &mut kept).await.expect("body");
        assert_eq!((kept.bytes.len(), kept.total), (10, 100_000));
    }
}
