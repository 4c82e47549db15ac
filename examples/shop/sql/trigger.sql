-- Events without a line of Go: whatever inserts a review, an ORM, psql or another
-- service, enqueues its event in the same transaction. The JSON is one bundle; an
-- array would be several.
--
-- A bundle that is not right is recorded as rejected and never breaks the INSERT.
-- For events that may be lost rather than wait for a lock, call
-- waybill.try_enqueue(bundle::text) instead.
--
-- Names, version and key are those of order_reviewed in plan/events/shop.yaml; the
-- worker checks them against the plan it was given.

CREATE OR REPLACE FUNCTION track_review() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM waybill.enqueue(jsonb_build_object(
        'key', 'order_reviewed:' || NEW.order_id,
        'user_id', c.id,
        'groups', jsonb_build_array(jsonb_build_object('type', 'account', 'id', c.account_id)),
        'track', jsonb_build_object(
            'event', 'order_reviewed',
            'version', '1.0',
            'properties', jsonb_build_object('order_id', NEW.order_id, 'stars', NEW.stars)
        )
    ))
    FROM orders AS o
    JOIN customers AS c ON c.id = o.customer_id
    WHERE o.id = NEW.order_id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER track_review
AFTER INSERT ON reviews
FOR EACH ROW EXECUTE FUNCTION track_review();
