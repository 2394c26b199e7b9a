//! The faults that are kept as changes of the sources: each still applies, and tells what it is.

use tidegate_sim::patch::{Patch, workspace};

/// How many lines one of them may change.
const MOST: usize = 20;

#[test]
fn every_patch_applies_is_small_and_says_what_it_is() {
    let patches = Patch::all().unwrap_or_else(|error| panic!("{error}"));
    assert!(patches.len() > 15, "{}", patches.len());
    for patch in patches {
        patch.check(&workspace()).unwrap_or_else(|error| panic!("{error}: renew it"));
        assert!(patch.files().count() > 0, "{} changes nothing", patch.name);
        let changed = patch.changed();
        assert!(changed > 0 && changed <= MOST, "{} changes {changed} lines", patch.name);
        let names_it = ["Case ", "Issue ", "INV-"].iter().any(|it| patch.about.starts_with(it));
        assert!(names_it, "{} does not say what it re-creates: {}", patch.name, patch.about);
    }
}
