SELECT
    set_config('demo.shop', $1, false),
    set_config('demo.worker', $2, false),
    set_config('demo.operator', $3, false),
    set_config('demo.password', $4, false);
