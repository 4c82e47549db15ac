-- Nobody can insert, fetch or complete a job while this transaction lasts.
LOCK TABLE waybill.river_job IN ACCESS EXCLUSIVE MODE;
