//! `import --dry-run`: what would come of each file, read and judged as it would be, and nothing written.

use crate::exit::Exit;
use crate::fetch::Engine;
use crate::pipeline::{self, Request};
use crate::render;

use super::super::failure::Failure;
use super::super::scene::Scene;
use super::super::{Done, print};

/// Shows it, and ends as the run would.
pub(in crate::cli) fn preview(request: &Request, scene: &Scene) -> Done {
    let engine = Engine::start()
        .map_err(|error| Failure::io("cannot start the threads that read", &error))?;
    let store = if scene.settings.database.exists() { Some(scene.reader()?) } else { None };
    let preview = pipeline::preview(&scene.settings, &engine, store.as_ref(), request)?;
    print(|out| {
        if scene.json {
            render::import::json(out, &preview, scene.now())
        } else {
            render::import::table(out, &preview, scene.look)
        }
    })?;
    let as_the_run = || Exit::of_run(preview.totals.status(), scene.settings.run.treat_as);
    Ok(engine.stopped().map_or_else(as_the_run, Exit::Stopped))
}
