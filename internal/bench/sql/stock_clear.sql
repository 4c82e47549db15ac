TRUNCATE river_job, shop_order;
