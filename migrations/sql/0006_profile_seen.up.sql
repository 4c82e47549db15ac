-- The newest version among a profile's traits, and the names that share it, joined by
-- U+001F. Nearly every bundle repeats what is known already and only moves that version
-- on: written apart from traits, it costs two numbers instead of the whole document. The
-- version of a name in seen is at least (seen_at, seen_id), whatever traits says.
ALTER TABLE waybill.profile
ADD COLUMN seen text NOT NULL DEFAULT '',
ADD COLUMN seen_at bigint NOT NULL DEFAULT 0, -- µs since 1970
ADD COLUMN seen_id bigint NOT NULL DEFAULT 0; -- bundle id
