-- Which observations the steps show: stay, hour, channel, value, text, is_action.
--
-- Those of the stay, and of what lasts (weight, height, coma scale, device, rhythm, what a ventilator is set to) also the last charting before
-- admission, if it is not older than the column `lasts` of the table `variable` says: hour 0 shows it, and its time is its own, below 0.
WITH carried AS (
    SELECT stay, channel, max(hour) AS hour FROM observed JOIN variable USING (channel)
    WHERE hour < 0 AND as_charted(hour + lasts) >= 0 GROUP BY stay, channel
)

SELECT observed.stay, observed.hour, observed.channel, value, text, is_action
FROM observed JOIN variable USING (channel) LEFT JOIN carried
    ON observed.stay = carried.stay AND observed.channel = carried.channel AND observed.hour = carried.hour
WHERE observed.hour >= 0 OR carried.hour IS NOT NULL
