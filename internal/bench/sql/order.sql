INSERT INTO shop_order (customer, cents) VALUES ($1, $2);
