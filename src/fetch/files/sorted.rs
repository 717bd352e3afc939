//! The rows of a file that is in no order, sorted: in pieces that fit into memory, each put down in a
//! temporary file, and merged as they are read.
//!
//! What comes out ascends by time; rows of one time come in the order of the file. Memory is a piece at
//! first, and then a buffer a piece.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use crate::domain::bar::{Bar, BarFields, RejectReason, Rejection};
use crate::domain::run::{ErrorKind, Fault};
use crate::fetch::Lost;
use crate::fetch::open::cannot;

use super::survey::WATCH_EVERY;
use super::table::{Row, Table};

/// Rows that are sorted in memory at once.
const PIECE: usize = 200_000;

/// What is read of a piece at once, in bytes.
const BUFFER: usize = 32 << 10;

/// The rows of a file in the order of their time. Those without one come first.
pub(super) struct Sorted {
    pieces: Vec<BufReader<Piece>>,
    /// The next row of each piece that has one, by its place in the order.
    heads: BinaryHeap<Reverse<Head>>,
    ahead: Vec<Option<Row>>,
}

/// Time, line, piece.
type Head = (i64, u64, usize);

impl Sorted {
    /// Sorts what is left of `table`.
    ///
    /// # Errors
    ///
    /// The fault of the file or of the temporary one; what `stopped` says, when the run ends meanwhile.
    pub(super) fn of(table: &mut Table, stopped: impl Fn() -> Option<Lost>) -> Result<Self, Lost> {
        let failed = |fault| Lost::failed(fault, 1);
        let temporary = |error: io::Error| failed(no_room(&error));
        // It has no name: whatever becomes of the process, nothing of it is left.
        let mut out = BufWriter::new(tempfile::tempfile().map_err(temporary)?);
        let (mut rows, mut ends) = (Vec::new(), Vec::new());
        loop {
            let more = table.advance().map_err(failed)?;
            if more {
                rows.push(table.row());
            }
            if (rows.len() as u64).is_multiple_of(WATCH_EVERY)
                && let Some(lost) = stopped()
            {
                return Err(lost);
            }
            if rows.len() == PIECE || !more {
                put(&mut out, &mut rows).map_err(temporary)?;
                ends.push(out.stream_position().map_err(temporary)?);
                table.begin_page();
            }
            if !more {
                break;
            }
        }
        let file = out.into_inner().map_err(|error| temporary(error.into_error()))?;
        Self::merge(file, &ends).map_err(temporary)
    }

    fn merge(file: File, ends: &[u64]) -> io::Result<Self> {
        let mut sorted = Self { pieces: Vec::new(), heads: BinaryHeap::new(), ahead: Vec::new() };
        let file = Arc::new(file);
        let mut start = 0;
        for (index, end) in ends.iter().enumerate() {
            let piece = Piece { file: Arc::clone(&file), at: start, end: *end };
            sorted.pieces.push(BufReader::with_capacity(BUFFER, piece));
            sorted.ahead.push(None);
            sorted.refill(index)?;
            start = *end;
        }
        Ok(sorted)
    }

    /// The next row; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// When the temporary file cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Row>, Fault> {
        let Some(Reverse((.., index))) = self.heads.pop() else { return Ok(None) };
        let row = self.ahead[index].take();
        self.refill(index).map_err(|error| no_room(&error))?;
        Ok(row)
    }

    fn refill(&mut self, index: usize) -> io::Result<()> {
        let piece = &mut self.pieces[index];
        if piece.fill_buf()?.is_empty() {
            return Ok(());
        }
        let row = take(piece)?;
        self.heads.push(Reverse((place(&row), row.line, index)));
        self.ahead[index] = Some(row);
        Ok(())
    }
}

fn place(row: &Row) -> i64 {
    row.ts().unwrap_or(i64::MIN)
}

/// A stretch of the temporary file. All pieces share its one position.
struct Piece {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Piece {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(&mut buffer[..length])?;
        self.at += read as u64;
        Ok(read)
    }
}

fn no_room(error: &io::Error) -> Fault {
    let fault = cannot("sort the rows in", Path::new("a temporary file"), error);
    // It is not the series' file that is missing, or closed to us.
    let own = matches!(fault.kind, ErrorKind::NotFound | ErrorKind::Auth);
    Fault { kind: if own { ErrorKind::Network } else { fault.kind }, ..fault }
}

/// Puts a piece down, sorted.
fn put(out: &mut impl Write, rows: &mut Vec<Row>) -> io::Result<()> {
    rows.sort_by_key(|row| (place(row), row.line));
    for row in rows.drain(..) {
        out.write_all(&row.line.to_le_bytes())?;
        match row.read {
            Ok(bar) => put_bar(out, &bar)?,
            Err(rejection) => put_rejection(out, &rejection)?,
        }
    }
    Ok(())
}

/// What follows the line of a row.
const BAR: u8 = 0;
const REJECTION: u8 = 1;

fn put_bar(out: &mut impl Write, bar: &Bar) -> io::Result<()> {
    let Bar { ts, open, high, low, close, volume, vwap, trades } = *bar;
    let mut bytes = [0; 66];
    bytes[0] = BAR;
    bytes[1] = u8::from(volume.is_some())
        | u8::from(vwap.is_some()) << 1
        | u8::from(trades.is_some()) << 2;
    let numbers = [open, high, low, close, volume.unwrap_or(0.0), vwap.unwrap_or(0.0)];
    bytes[2..10].copy_from_slice(&ts.to_le_bytes());
    bytes[10..18].copy_from_slice(&trades.unwrap_or(0).to_le_bytes());
    for (at, number) in numbers.iter().enumerate() {
        bytes[18 + at * 8..26 + at * 8].copy_from_slice(&number.to_le_bytes());
    }
    out.write_all(&bytes)
}

fn put_rejection(out: &mut impl Write, rejection: &Rejection) -> io::Result<()> {
    let text = rejection.text.as_bytes();
    let has = u8::from(rejection.ts.is_some()) | rejection.fields.bits() << 1;
    out.write_all(&[REJECTION, has])?;
    out.write_all(&rejection.ts.unwrap_or(0).to_le_bytes())?;
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text)
}

/// Takes the next row of a piece.
fn take(piece: &mut impl Read) -> io::Result<Row> {
    let line = u64::from_le_bytes(bytes(piece)?);
    let [kind, has] = bytes(piece)?;
    let ts = i64::from_le_bytes(bytes(piece)?);
    if kind == REJECTION {
        let length = u64::from_le_bytes(bytes(piece)?);
        let mut text = String::new();
        piece.take(length).read_to_string(&mut text)?;
        let ts = (has & 1 == 1).then_some(ts);
        let fields = BarFields::of_bits(has >> 1);
        // Rows are refused for nothing else before they are judged.
        let rejection = Rejection { ts, reason: RejectReason::InvalidNumber, fields, text };
        return Ok(Row { line, read: Err(rejection) });
    }
    let trades = i64::from_le_bytes(bytes(piece)?);
    let mut number = || bytes(piece).map(f64::from_le_bytes);
    let (open, high, low, close) = (number()?, number()?, number()?, number()?);
    let (volume, vwap) = (number()?, number()?);
    let bar = Bar {
        ts,
        open,
        high,
        low,
        close,
        volume: (has & 1 != 0).then_some(volume),
        vwap: (has & 2 != 0).then_some(vwap),
        trades: (has & 4 != 0).then_some(trades),
    };
    Ok(Row { line, read: Ok(bar) })
}

fn bytes<const N: usize>(piece: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    piece.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_put_down_and_in_order() {
        let bar = |ts: i64, volume, vwap, trades| Bar {
            ts,
            open: 1.5,
            high: 2.5,
            low: 0.5,
            close: f64::MAX,
            volume,
            vwap,
            trades,
        };
        let broken = |ts, text: &str| Rejection {
            ts,
            reason: RejectReason::InvalidNumber,
            fields: BarFields::CLOSE.with(BarFields::VOLUME),
            text: text.to_owned(),
        };
        let row = |line, read| Row { line, read };
        let first = vec![
            row(2, Ok(bar(300, Some(1.0), None, Some(7)))),
            row(3, Err(broken(Some(200), "é, line 3"))),
            row(4, Ok(bar(100, None, Some(-0.0), None))),
        ];
        let second = vec![row(5, Ok(bar(100, None, None, None))), row(6, Err(broken(None, "")))];
        let mut file = tempfile::tempfile().unwrap();
        let mut ends = Vec::new();
        for mut rows in [first.clone(), second.clone()] {
            put(&mut file, &mut rows).unwrap();
            ends.push(file.stream_position().unwrap());
        }
        let mut sorted = Sorted::merge(file, &ends).unwrap();
        let rows: Vec<Row> = std::iter::from_fn(|| sorted.next().unwrap()).collect();
        let expected = [&second[1], &first[2], &second[0], &first[1], &first[0]];
        assert_eq!(rows.iter().collect::<Vec<_>>(), expected);
    }
}
