-- Invasive lines while they lie: stay, start, stop, kind, site.
--
-- Items of icu/procedureevents in the table `line_item`. The names of items that mean the same are made one, as are those of sites.
-- Source: MIMIC Code Repository, concepts/treatment/invasive_line.
SELECT
    stay, start, stop,
    CASE
        WHEN label IN ('Arterial Line', 'A-Line') THEN 'Arterial'
        WHEN label IN ('CCO PA Line', 'CCO PAC') THEN 'Continuous Cardiac Output PA'
        WHEN label IN ('Dialysis Catheter', 'Dialysis Line') THEN 'Dialysis'
        WHEN label IN ('Hickman', 'Tunneled (Hickman) Line') THEN 'Hickman'
        WHEN label IN ('IABP', 'IABP line') THEN 'IABP'
        WHEN label IN ('Multi Lumen', 'Multi-lumen') THEN 'Multi Lumen'
        WHEN label IN ('PA Catheter', 'PA line') THEN 'PA'
        WHEN label IN ('PICC Line', 'PICC line') THEN 'PICC'
        WHEN label IN ('Pre-Sep Catheter', 'Presep Catheter') THEN 'Pre-Sep'
        WHEN label IN ('Trauma Line', 'Trauma line') THEN 'Trauma'
        WHEN label IN ('Triple Introducer', 'TripleIntroducer') THEN 'Triple Introducer'
        WHEN label IN ('Portacath', 'Indwelling Port (PortaCath)') THEN 'Portacath'
        ELSE label
    END AS kind,
    regexp_replace(regexp_replace(site, '\.$', ''), 'Antecub$', 'Antecube') AS site
FROM procedure JOIN line_item USING (item) WHERE stay BETWEEN $low AND $high
