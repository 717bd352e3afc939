//! `mdctl db prune`: what is kept for a while goes, a slice at a time, and the file gives back its room.

use std::time::Duration;

use crate::domain::database::{Room, Vacuum};
use crate::domain::time::seconds;
use crate::domain::words::bytes;
use crate::exit::Exit;
use crate::pipeline;
use crate::render;
use crate::render::db::prune::{Gone, Shrunk};
use crate::store::{Pruned, Store};

use super::super::failure::Failure;
use super::super::scene::Scene;
use super::super::{Done, print};
use super::lock_alone;

/// Below that it is not worth writing a file anew.
const WORTH_BYTES: u64 = 1 << 20;

pub(super) fn exec(scene: &Scene) -> Done {
    // What is not there is not made.
    drop(Store::open_read(&scene.settings.database)?);
    let _lock = lock_alone(&scene.settings.database, "prune")?;
    let mut store = Store::open_write(&scene.settings.database)?;
    let bars = pipeline::prune_bars(&scene.settings, &mut store, scene.now())?;
    let rows = prune_logs(scene, &mut store)?;
    let gone = Gone { bars, rows, file: shrink(&mut store)? };
    print(|out| {
        if scene.json {
            render::db::prune::json(out, &gone, scene.wall_now)
        } else {
            render::db::prune::text(out, &gone)
        }
    })?;
    Ok(Exit::Success)
}

/// Deletes old rows of logs and runs; tells how many, by table.
fn prune_logs(scene: &Scene, store: &mut Store) -> Result<Vec<(&'static str, u64)>, Failure> {
    let retention = &scene.settings.retention;
    let before = |keep: Duration| scene.wall_now.saturating_sub(seconds(keep));
    let mut gone = Vec::new();
    for what in Pruned::ALL {
        let before = before(if what.is_of_runs() { retention.runs } else { retention.logs });
        let mut rows = 0;
        loop {
            let slice = store.write(|tx| tx.prune(what, before))?;
            if slice == 0 {
                break;
            }
            rows += slice;
        }
        gone.push((what.table(), rows));
    }
    Ok(gone)
}

/// Gives back to the disk what is free in the file.
fn shrink(store: &mut Store) -> Result<Shrunk, Failure> {
    store.checkpoint()?;
    let before = store.room()?;
    let mut note = None;
    match before.vacuum {
        Vacuum::Incremental => while before.free_bytes > 0 && store.vacuum_step()? {},
        Vacuum::Full => {}
        Vacuum::None if !is_worth(&before) => {}
        Vacuum::None => match lacking(store, &before) {
            None => {
                store.vacuum_whole()?;
                note = Some(
                    "written anew, this once: from now on it gives back what is free by itself"
                        .to_owned(),
                );
            }
            Some(lacking) => {
                note = Some(format!(
                    "the file cannot give back {} before it is written anew, and the disk lacks {} for that",
                    bytes(before.free_bytes),
                    bytes(lacking)
                ));
            }
        },
    }
    store.checkpoint()?;
    let after = store.room()?;
    Ok(Shrunk { before: before.bytes, after: after.bytes, free: after.free_bytes, note })
}

/// Whether a file is to be written anew: a quarter of it is free.
const fn is_worth(room: &Room) -> bool {
    room.free_bytes >= WORTH_BYTES && room.free_bytes >= room.bytes / 4
}

/// How much room the disk lacks to write a file anew: what is in it is written twice, first beside it, then
/// into its log. `None` when it is enough.
fn lacking(store: &Store, room: &Room) -> Option<u64> {
    let used = room.used_bytes();
    let needed = used.saturating_mul(2).saturating_add(used / 4);
    let free = store.disk_free_bytes()?;
    needed.checked_sub(free).filter(|lacking| *lacking > 0)
}
