-- What a worker has learned of users and groups.
TRUNCATE waybill.profile;
