use foretaste::bundle::*;
use foretaste::kernels::*;
use foretaste::retrieve::*;
use std::time::Instant;
fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let read = |n: &str| std::fs::read(format!("{dir}/{n}")).unwrap();
    let mut r = BundleReader::new(&read("manifest.json"), 1 << 40).unwrap();
    let files: Vec<_> = r.manifest().used_files().cloned().collect();
    for f in files.iter().filter(|f| f.role == "items" || f.role == "catalog") {
        r.add_file(&f.path, &read(&f.path)).unwrap();
    }
    let b = r.open().unwrap();
    let d = b.rows.dim();
    let n = b.rows.len();
    let q: Vec<f32> = read("queries.f32").chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let t = |name: &str, f: &mut dyn FnMut(&[f32])| {
        for u in q.chunks(d).take(4) {
            f(u)
        }
        let s = Instant::now();
        let mut c = 0;
        for u in q.chunks(d) {
            f(u);
            c += 1;
        }
        println!("{name}: {:.3} ms", s.elapsed().as_secs_f64() * 1e3 / c as f64);
    };
    let all = Bitmap::full(n);
    t("accurate", &mut |u| {
        std::hint::black_box(search(&Scorer::new(&b.rows, u), &all, 100, Effort::Accurate));
    });
    t("fast", &mut |u| {
        std::hint::black_box(search(&Scorer::new(&b.rows, u), &all, 100, Effort::Fast));
    });
    let k = Kernels::best();
    t("scan", &mut |u| {
        let books: Vec<&[f32]> = b.rows.files().map(|(_, f)| f.codes().unwrap().1).collect();
        let tables = Tables::new(u, books.into_iter(), b.rows.bias_range());
        let (mut sums, mut masks) = ([0i16; 512], [0u16; 32]);
        for (i, (_, f)) in b.rows.files().enumerate() {
            let (codes, _, bias) = f.codes().unwrap();
            for (c, bi) in codes.chunks(32 * 16 * d / 4).zip(bias.chunks(512)) {
                let m = bi.len() / 16;
                k.scan(&tables.scan(i, c, bi), i16::MAX, &mut sums[..bi.len()], &mut masks[..m]);
                std::hint::black_box(&masks);
            }
        }
    });
    t("tables", &mut |u| {
        let books: Vec<&[f32]> = b.rows.files().map(|(_, f)| f.codes().unwrap().1).collect();
        std::hint::black_box(Tables::new(u, books.into_iter(), b.rows.bias_range()));
    });
    t("clone bitmap", &mut |_| {
        std::hint::black_box(Bitmap::full(n));
    });
    t("counts", &mut |_| {
        std::hint::black_box(vec![0u32; SUM_LIMIT]);
    });
    t("int8 scan", &mut |u| {
        let q = QuantizedQuery::new(u);
        let mut dots = vec![0; 65536];
        for (_, f) in b.rows.files() {
            k.dots(f.vectors(), &q.values, &mut dots[..f.len()]);
            std::hint::black_box(&dots);
        }
    });
}
