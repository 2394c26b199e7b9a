//! Files that are truncated, corrupt, changed or gone.

use std::fs;

use tidegate_connectors::files;

use crate::harness::{Compression, SourceJob, read_all};

#[test]
fn a_truncated_compressed_file_is_an_error_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..300).map(|number| format!("line {}", number * number)).collect();
    let content = lines.join("\n");
    for compression in [Compression::Gzip, Compression::Zstd] {
        let whole = compression.compress(content.as_bytes());
        let path = folder.path().join(format!("lines.txt{}", compression.extension()));
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut job = SourceJob::start(&files::text(&path), 1, &[]).unwrap();
            let error = job.read(usize::MAX, 100).expect_err("it is truncated");
            let expected = format!("`{}` is truncated or corrupt at byte ", path.display());
            assert!(error.starts_with(&expected), "{compression:?} {length}: {error}");
            let found = job.so_far();
            assert!(lines.starts_with(&found), "{compression:?} {length}: a wrong record");
        }
    }
}

#[test]
fn zeros_behind_a_gzip_member_are_passed_over_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines.txt.gz");
    let (one, two) = (Compression::Gzip.compress(b"one\n"), Compression::Gzip.compress(b"two\n"));
    // As many as a block of a tape, and more than is read at once.
    for zeros in [1, 9, 10_240, 300_000] {
        let padding = vec![0; zeros];
        fs::write(&path, [&one[..], &padding].concat()).unwrap();
        assert_eq!(read_all(&files::text(&path)).unwrap(), ["one"], "{zeros}");
        fs::write(&path, [&one[..], &padding, &two, &padding].concat()).unwrap();
        assert_eq!(read_all(&files::text(&path)).unwrap(), ["one", "two"], "{zeros}");
        for junk in [&b"junk"[..], &two[..two.len() - 1]] {
            fs::write(&path, [&one[..], &padding, junk].concat()).unwrap();
            let error = read_all(&files::text(&path)).unwrap_err();
            assert!(error.contains("is truncated or corrupt at byte"), "{zeros}: {error}");
        }
    }
    fs::write(&path, [0; 512]).unwrap();
    assert!(read_all(&files::text(&path)).is_err(), "there is no member at all");
}

#[test]
fn the_place_in_a_truncated_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines.txt.zst");
    let whole = Compression::Zstd.compress(b"one\ntwo\n");
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let error = read_all(&files::text(&path)).unwrap_err();
    let expected = format!(
        "`{}` is truncated or corrupt at byte {} of the compressed file, after 8 bytes of its content: ",
        path.display(),
        whole.len() - 1
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn a_flipped_bit_is_never_a_wrong_file_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..200).map(|number| format!("line {}", number * number)).collect();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let whole = compression.compress(lines.join("\n").as_bytes());
        let path = folder.path().join(format!("lines.txt{}", compression.extension()));
        for byte in (0..whole.len()).step_by(7) {
            let mut corrupt = whole.clone();
            corrupt[byte] ^= 0x10;
            fs::write(&path, &corrupt).unwrap();
            // Some bits, such as a gzip header's time, mean nothing.
            if let Ok(found) = read_all(&files::text(&path)) {
                assert_eq!(found, lines, "{compression:?} {byte}");
            }
        }
    }
}

#[test]
fn a_file_that_shrank_or_went_between_snapshot_and_restore_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let content: String = (0..100).map(|number| format!("line {number}\n")).collect();
    // It keeps discovery content when the other one is gone.
    fs::write(folder.path().join("z.txt"), "").unwrap();
    for compression in Compression::ALL {
        let path = folder.path().join(format!("lines.txt{}", compression.extension()));
        let name = path.display();
        fs::write(&path, compression.compress(content.as_bytes())).unwrap();
        let source = files::text(folder.path());
        let mut job = SourceJob::start(&source, 1, &[]).unwrap();
        job.read(90, 90).unwrap();
        let snapshot = job.snapshot();
        let restored = || SourceJob::start(&source, 1, &snapshot).unwrap().read(usize::MAX, 100);

        fs::write(&path, compression.compress(&content.as_bytes()[..80])).unwrap();
        let expected = format!(
            "`{name}` has changed: it was read up to byte 710 before the restore, and now ends at byte 80"
        );
        assert_eq!(restored().unwrap_err(), expected);

        fs::remove_file(&path).unwrap();
        let expected = format!(
            "`{name}` is gone: it was read up to byte 710 before the restore, and not to its end"
        );
        assert_eq!(restored().unwrap_err(), expected);
    }
}

#[test]
fn no_such_file() {
    let error = read_all(&files::text("/nowhere/lines.txt")).unwrap_err();
    assert!(error.starts_with("no file to read at `/nowhere/lines.txt`: "), "{error}");
}

#[test]
fn options_out_of_range_are_refused() {
    let error = read_all(&files::text("/nowhere").rate(0)).unwrap_err();
    assert_eq!(error, "a file source's rate must be at least 1");
}

#[test]
fn a_finished_file_is_not_needed_any_more() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.txt", "b.txt"] {
        fs::write(folder.path().join(name), "one\ntwo\n").unwrap();
    }
    let source = files::text(folder.path());
    let mut job = SourceJob::start(&source, 1, &[]).unwrap();
    assert_eq!(job.read(2, 10).unwrap(), ["one", "two"]);
    let snapshot = job.snapshot();
    fs::remove_file(folder.path().join("a.txt")).unwrap();
    let mut job = SourceJob::start(&source, 1, &snapshot).unwrap();
    assert_eq!(job.read(usize::MAX, 10).unwrap(), ["one", "two"]);
}

#[test]
fn a_record_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zeros");
    fs::File::create(&path).unwrap().set_len(files::MAX_RECORD_BYTES as u64 * 2).unwrap();
    let expected = format!(
        "`{}` line 1: a record of more than 67108864 bytes, is it the right format?",
        path.display()
    );
    assert_eq!(read_all(&files::text(&path)).unwrap_err(), expected);
    assert_eq!(read_all(&files::csv::<String>(&path)).unwrap_err(), expected);
}
