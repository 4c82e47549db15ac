SELECT event, version, property, rule, mode, reason, bundles, newest, capped
FROM waybill.violations(make_interval(secs => $1::float8), $2::int);
