SELECT id, beat FROM waybill.worker WHERE id <> $1;
