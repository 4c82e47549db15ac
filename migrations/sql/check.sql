SELECT max(version), max(readable_by) FROM waybill.migration;
