SELECT settled, delivered, since, capped FROM waybill.throughput(make_interval(secs => $1::float8), $2::int);
