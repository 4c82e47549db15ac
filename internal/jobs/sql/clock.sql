-- The id of the request to come, and the only clock that times are compared on.
SELECT nextval('waybill.request_id_seq'), clock_timestamp();
