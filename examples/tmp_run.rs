use mapfold::{aggregate::Count, engine, input::Source, map::*, plan::*};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let on = match &*a[1] {
        "ws" => Some(Splitter::Whitespace),
        "letters" => Some(Splitter::Letters),
        "words" => Some(Splitter::Words),
        _ => None,
    };
    let path = std::path::PathBuf::from(&a[2]);
    let len = path.metadata().unwrap().len();
    let order = match &*a[3] {
        "free" => Order::Free,
        "key" => Order::By(vec![SortKey { index: 0, descending: false }]),
        _ => Order::By(vec![SortKey { index: 1, descending: true }, SortKey { index: 0, descending: false }]),
    };
    let env = |k: &str| std::env::var(k).ok().map(|v| v.parse::<u64>().unwrap());
    let plan = Plan {
        job: serde_json::Value::Null,
        sources: vec![Source::File { path, len }],
        steps: on.iter().map(|on| Step::Split { input: 0, on: on.clone() }).collect(),
        group_by: vec![on.is_some() as usize],
        aggregates: vec![AggregateColumn { field: None, aggregate: Box::new(Count) }],
        order,
        limit: None,
        columns: vec![OutputColumn { index: 0, name: "k".into() }, OutputColumn { index: 1, name: "n".into() }],
        output: Output {
            target: Target::File(a[4].clone().into()),
            format: Format::Text,
            header: false,
            force: true,
            part_size: 128 << 20,
        },
        settings: Settings {
            threads: env("T").unwrap_or(2) as usize,
            memory: env("MEM").unwrap_or(12 << 30),
            split_size: env("SPLIT"),
            partitions: env("P").map(|x| x as usize),
            combiner: if env("OFF").is_some() { Combiner::Off } else { Combiner::On },
            spill_dir: "/var/tmp".into(),
            table_slots: env("SLOTS").map(|x| x as usize),
            hash_mask: !0,
        },
    };
    let r = engine::run(&plan, &Default::default()).unwrap();
    eprintln!(
        "{:.3}s {:?} rss {}M {:?} split {} parts {}",
        r.wall_seconds,
        r.phase_seconds,
        r.peak_rss_bytes >> 20,
        r.counters,
        r.settings.split_size_bytes,
        r.settings.partitions
    );
}
