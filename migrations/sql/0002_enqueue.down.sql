DROP FUNCTION IF EXISTS waybill.try_enqueue(text);
DROP FUNCTION IF EXISTS waybill.enqueue_text(text);
DROP FUNCTION IF EXISTS waybill.enqueue(jsonb);
DROP FUNCTION IF EXISTS waybill.keepable(jsonb);
DROP FUNCTION IF EXISTS waybill.inspect(jsonb);
DROP FUNCTION IF EXISTS waybill.ordinary(jsonb);
DROP FUNCTION IF EXISTS waybill.usual_time(text);
DROP FUNCTION IF EXISTS waybill.read_time(text);
