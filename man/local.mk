# files of man/
dist_man_MANS += man/bumpwire.conf.5
