-- River's pause, as its UI or QueuePause set it. https://riverqueue.com/docs/pausing-queues
SELECT min(paused_at) FROM waybill.river_queue WHERE name = 'analytics';
