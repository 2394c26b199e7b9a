//! Tables that say different things in different columns are refused, and so are nulls where there must
//! be a value: nobody but an error could tell what they mean.

use std::sync::Arc;

use bytes::Bytes;
use parquet::{
    basic::Repetition,
    data_type::Int32Type,
    file::{
        reader::{FileReader, SerializedFileReader},
        writer::SerializedFileWriter,
    },
    schema::types::{Type, TypePtr},
};
use tidegate_canonical::{
    reader::TableReader,
    table::{TableSchema, TableWriter},
};

/// The entries of a column: values, definition levels, repetition levels.
type Entries<'a> = (&'a [i32], &'a [i16], &'a [i16]);

fn columns_of(schema: &TableSchema) -> TypePtr {
    let mut file = Vec::new();
    TableWriter::new(schema.clone(), &mut file).expect("begins").finish().expect("ends");
    let file = SerializedFileReader::new(Bytes::from(file)).expect("it is Parquet");
    file.metadata().file_metadata().schema_descr().root_schema_ptr()
}

/// What comes of a table with these entries in its columns.
fn read(
    notation: &str,
    columns: Option<TypePtr>,
    entries: &[Entries<'_>],
) -> Result<Vec<Vec<u8>>, String> {
    let schema = TableSchema::list("state", Some(notation));
    let columns = columns.unwrap_or_else(|| columns_of(&schema));
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, columns, Arc::default()).expect("begins");
    let mut group = writer.next_row_group().expect("begins");
    for (values, definitions, repetitions) in entries {
        let mut column = group.next_column().expect("begins").expect("there is one");
        let typed = column.typed::<Int32Type>();
        let repetitions = (!repetitions.is_empty()).then_some(*repetitions);
        typed.write_batch(values, Some(definitions), repetitions).expect("written");
        column.close().expect("ends");
    }
    group.close().expect("ends");
    writer.close().expect("ends");
    let mut rows = Vec::new();
    let reader = TableReader::open(schema, Bytes::from(file)).map_err(|error| error.to_string())?;
    let take = |_, bytes: &[u8], _: &[usize]| {
        rows.push(bytes.to_vec());
        Ok(())
    };
    reader.for_each(None, take).map_err(|error| error.to_string())?;
    Ok(rows)
}

const TORN: &str = "the state is not what its description says: the columns of a table do not \
                    belong together";
const NULLS: &str = "the state is not what its description says: a column has nulls";

#[test]
fn columns_with_other_elements_are_refused() {
    let pairs = |one, other| read("List<(u8, u8)>", None, &[one, other]);
    let two: Entries<'_> = (&[1, 2], &[1, 1], &[0, 1]);
    assert_eq!(pairs(two, (&[3, 4], &[1, 1], &[0, 1])), Ok(vec![vec![2, 1, 3, 2, 4]]));
    for other in [
        (&[3][..], &[1][..], &[0][..]),
        (&[3, 4, 5], &[1, 1, 1], &[0, 1, 1]),
        (&[], &[0], &[0]),
        (&[3], &[1, 0], &[0, 1]),
    ] {
        assert!([TORN, NULLS].contains(&&*pairs(two, other).expect_err("refused")), "{other:?}");
        assert!([TORN, NULLS].contains(&&*pairs(other, two).expect_err("refused")), "{other:?}");
    }
}

#[test]
fn lists_of_other_lengths_within_lists_are_refused() {
    let lists = |one, other| read("List<List<(u8, u8)>>", None, &[one, other]);
    let one: Entries<'_> = (&[1, 2, 3], &[2, 2, 2], &[0, 2, 1]);
    assert_eq!(lists(one, one), Ok(vec![vec![2, 2, 1, 1, 2, 2, 1, 3, 3]]));
    assert_eq!(lists(one, (&[1, 2, 3], &[2, 2, 2], &[0, 1, 2])).expect_err("refused"), TORN);
    assert_eq!(lists(one, (&[1, 2], &[2, 2, 1], &[0, 2, 1])).expect_err("refused"), NULLS);
}

#[test]
fn options_that_are_there_in_one_column_and_not_in_the_other_are_refused() {
    let pairs = |one, other| read("Option<(u8, u8)>", None, &[one, other]);
    let one: Entries<'_> = (&[1], &[1, 0], &[]);
    assert_eq!(pairs(one, one), Ok(vec![vec![1, 1, 1], vec![0]]));
    assert_eq!(pairs(one, (&[1], &[0, 1], &[])).expect_err("refused"), NULLS);
    assert_eq!(pairs((&[], &[0, 0], &[]), one).expect_err("refused"), TORN);
}

/// The same columns, any of which may have nulls.
fn with_nulls(column: &Type) -> TypePtr {
    let info = column.get_basic_info();
    let repetition = match info.has_repetition() {
        true if info.repetition() == Repetition::REPEATED => Repetition::REPEATED,
        _ => Repetition::OPTIONAL,
    };
    let (name, logical) = (info.name(), info.logical_type_ref().cloned());
    if column.is_primitive() {
        let leaf = Type::primitive_type_builder(name, column.get_physical_type());
        let leaf = leaf.with_repetition(repetition).with_logical_type(logical);
        return Arc::new(leaf.build().expect("as it was"));
    }
    let fields = column.get_fields().iter().map(|field| with_nulls(field)).collect();
    let group = Type::group_type_builder(name).with_logical_type(logical).with_fields(fields);
    let group = if info.has_repetition() { group.with_repetition(repetition) } else { group };
    Arc::new(group.build().expect("as it was"))
}

#[test]
fn nulls_where_there_must_be_a_value_are_refused() {
    let notation = "List<(u8, Option<u8>)>";
    let columns = with_nulls(&columns_of(&TableSchema::list("state", Some(notation))));
    let pairs = |one, other| read(notation, Some(columns.clone()), &[one, other]);
    // From the outside: the list, its elements, their values.
    let present: Entries<'_> = (&[1], &[4], &[0]);
    assert_eq!(pairs(present, (&[2], &[4], &[0])), Ok(vec![vec![1, 1, 1, 2]]));
    assert_eq!(pairs(present, (&[], &[3], &[0])), Ok(vec![vec![1, 1, 0]]));
    let empty: Entries<'_> = (&[], &[1], &[0]);
    assert_eq!(pairs(empty, empty), Ok(vec![vec![0]]));
    for level in [&[0], &[2], &[3]] {
        let null: Entries<'_> = (&[], level, &[0]);
        assert_eq!(pairs(null, null).expect_err("refused"), NULLS, "{level:?}");
    }
}
